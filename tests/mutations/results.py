"""Results of a campaign: one row for each mutant, kept so that an interrupted campaign goes on where it was."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from checker.cache import program_digest
from isa_specs.keeping import digest
from isa_specs.load import load

TESTS = Path(__file__).parent.parent
SURVIVORS = TESTS / "data" / "mutation_survivors.toml"


@dataclass(frozen=True)
class Result:
    """What became of a mutant. ``change`` is the verdict that noticed, empty if none did.

    Of a swap, ``component`` is what is no longer exchanged, ``culprits`` who is found not to, ``broken`` what goes wrong for it.
    Of a survivor, ``subjects`` are the names of what comes by it."""

    name: str
    kind: str
    where: str
    what: str
    line: int
    change: str
    component: str = ""
    culprits: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()

    @property
    def explanation(self) -> str:
        """Why it may survive, if somebody has said so."""
        return survivors().get((self.name, self.where, self.what), "")


class Results:
    """Rows of one description, in a file named for all they depend on: its texts, the program, the campaign itself."""

    def __init__(self, name: str, folder: Path):
        own = [Path(__file__).with_name(f"{part}.py").read_text(encoding="utf-8") for part in ("sites", "campaign", "swaps")]
        key = digest([*load(name).sources.values(), program_digest(), *own])
        self.path = folder / f"{name.replace('/', '.')}.{key[:16]}.jsonl"
        self.rows: dict[tuple[str, str, str], Result] = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                self._keep(Result(**{k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(line).items()}))

    def add(self, row: Result) -> None:
        self._keep(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")

    def _keep(self, row: Result) -> None:
        self.rows[row.kind, row.where, row.what] = row


def survivors() -> dict[tuple[str, str, str], str]:
    """Checks and swaps that change no verdict, and why that is right: (description, where, what) -> reason."""
    listed = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))["survivor"]
    return {(name, where, row["what"]): row["reason"] for row in listed for name in row["in"] for where in row["where"]}
