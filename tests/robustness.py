"""``python -m tests.robustness``: bad input, 20,000 mutated descriptions, Ctrl-C at many moments; writes docs/robustness.md.

Takes a quarter of an hour on one processor. The mutants and the codes are the same wherever it is run, the times are not.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from isa_specs.load import bundled
from tests.fuzzing.check import Outcome, check
from tests.interrupts import Remains, interrupt
from tests.test_bad_input import EXTENDS, HOSTILE

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "robustness.md"
MUTANTS = 20_000
PIECE = 100
FIRST = 1000  # number of the first piece; the suite's sample has those from 0

MOMENTS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)  # seconds after the start
FAMILIES = {
    "SP0": "text and syntax", "SP1": "names, encodings, size of the whole", "SP2": "widths and types", "SP3": "statements and functions",
    "SP4": "modes and monitors",
}

# What a file can be, in the order of the issue; the rest of HOSTILE comes behind.
KINDS = {
    "binary": "binary", "empty": "empty", "truncated": "truncated", "width": "a width of 10^9", "loop": "a loop of 10^9 rounds",
    "brackets": "10^5 nested parentheses", "role": "an unknown role", "modes": "two modes named alike",
    "monitor": "a profile that misses a component", "never": "an encoding nothing matches", "overlap": "two encodings that overlap",
}


@dataclass(frozen=True)
class Refusal:
    """What the command says of a bad file. ``seconds`` is wall-clock time, Python's start included."""

    kind: str
    status: int
    codes: tuple[str, ...]
    first: str
    seconds: float
    clean: bool  # no traceback


@dataclass
class Fuzzed:
    """What became of the mutants."""

    outcomes: list[Outcome] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)


# ---- bad input ------------------------------------------------------------------------------------------------


def bad_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """(what it is, file): first those that are no text at all."""
    yield "no such file", folder / "nowhere.spec"
    (folder / "folder.spec").mkdir()
    yield "a folder", folder / "folder.spec"
    if sys.platform == "linux":  # a file that opens and cannot be read, by the superuser neither
        (folder / "unreadable.spec").symlink_to("/proc/self/mem")
        yield "unreadable", folder / "unreadable.spec"
    (folder / "latin1.spec").write_bytes(EXTENDS.encode() + b"// \xe9\n")
    yield "not UTF-8", folder / "latin1.spec"
    for name, base in (("a", "b"), ("b", "a")):
        (folder / f"{name}.spec").write_text(f'isa {name} "{name}" extends {base}\n')
    yield "`extends` in a circle", folder / "a.spec"
    text = bundled()["x86"].read_text(encoding="utf-8")
    (folder / "half.spec").write_text(text[: len(text) // 2], encoding="utf-8")
    yield "half of x86", folder / "half.spec"
    for name, (_, text) in sorted(HOSTILE.items(), key=lambda item: list(KINDS).index(item[0]) if item[0] in KINDS else len(KINDS)):
        path = folder / f"hostile_{name}.spec"
        path.write_text(text, encoding="utf-8")
        yield KINDS.get(name, name.replace("_", " ")), path


def refusal(kind: str, path: Path) -> Refusal:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "checker", path.name, "--no-cache"], cwd=path.parent, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=False)
    seconds = time.perf_counter() - began
    said = re.findall(r"error (SP\d+): (.*)", done.stderr)
    return Refusal(kind, done.returncode, tuple(dict.fromkeys(code for code, _ in said)), said[0][1] if said else done.stderr.strip(),
                   seconds, "Traceback" not in done.stderr)


# ---- fuzzing --------------------------------------------------------------------------------------------------


def piece(numbers: range) -> Fuzzed:
    """The mutants of these numbers; what goes wrong is kept, not raised."""
    out = Fuzzed()
    for n in numbers:
        try:
            out.outcomes.append(check(f"{FIRST + n // PIECE}/{n % PIECE}"))
        except Exception as error:
            out.crashes.append(f"{error.__notes__[0]}: {type(error).__name__}: {error}")
    return out


def fuzz(count: int, jobs: int, tell: Callable[[str], None]) -> Fuzzed:
    out = Fuzzed()
    with ProcessPoolExecutor(jobs) as pool:
        for done in pool.map(piece, [range(n, min(n + PIECE, count)) for n in range(0, count, PIECE)]):
            out.outcomes += done.outcomes
            out.crashes += done.crashes
            tell(f"{len(out.outcomes) + len(out.crashes)} of {count} mutants, {len(out.crashes)} crashes")
    return out


# ---- Ctrl-C ---------------------------------------------------------------------------------------------------


def interrupted(tell: Callable[[str], None]) -> list[tuple[float, Remains]]:
    out = []
    for after in MOMENTS:
        tell(f"Ctrl-C after {after} s")
        with tempfile.TemporaryDirectory() as folder:
            out.append((after, interrupt(["x86", "--no-cache", "-o", "report.txt"], after, Path(folder))))
    return out


# ---- the page -------------------------------------------------------------------------------------------------


def page(refusals: list[Refusal], fuzzed: Fuzzed, remains: list[tuple[float, Remains]]) -> str:
    return "\n".join([
        "# Robustness", "",
        "What the program does with input that is no description, and when it is interrupted. `python -m tests.robustness` measures it",
        "and writes this page; times are of one run on one machine.", "",
        *bad_input(refusals), "", *mutated(fuzzed), "", *ended(remains), "",
    ])


def bad_input(refusals: list[Refusal]) -> list[str]:
    slowest = max(refusals, key=lambda r: r.seconds)
    return [
        "## Bad input", "",
        f"`vcheck FILE` on {len(refusals)} files: exit code 2 and a message with a place for each, a traceback for none. The slowest takes "
        f"{slowest.seconds:.1f} s ({slowest.kind}), Python's start included. The promise is 2 s.", "",
        "| the file | code | first message | seconds |", "|---|---|---|--:|",
        *(f"| {r.kind} | {r.codes[0] if r.codes else ''} | {shown(r.first)} | {r.seconds:.1f} |" for r in refusals),
    ]


def shown(text: str) -> str:
    cut = text if len(text) <= 90 else text[:87] + "..."
    return cut.replace("|", "\\|").replace("<", "&lt;")


def mutated(fuzzed: Fuzzed) -> list[str]:
    outcomes = fuzzed.outcomes
    valid = [outcome for outcome in outcomes if not outcome.codes]
    slowest = max(outcomes, key=lambda outcome: outcome.seconds)
    codes = Counter(code for outcome in outcomes for code in outcome.codes)
    total, large = len(outcomes) + len(fuzzed.crashes), sum("/" not in o.name and o.name != "family" for o in outcomes)
    return [
        "## Mutated descriptions", "",
        "Bundled descriptions with one to six things wrong: tokens, lines and bytes deleted, doubled, exchanged, or replaced by words",
        "of the language, numbers or noise. A mutant is either refused with places and reasons, or it means something: then its core",
        "form must be sound, and random instructions of it must assemble, disassemble and run.", "",
        "| | |", "|---|--:|",
        f"| mutants | {total:,} |",
        f"| of them of s370, x86 and their extensions | {large:,} |",
        f"| seeds | {FIRST}/0 to {FIRST + (total - 1) // PIECE}/{(total - 1) % PIECE} |",
        f"| refused | {total - len(valid) - len(fuzzed.crashes):,} |",
        f"| descriptions after all | {len(valid):,} |",
        f"| crashes | {len(fuzzed.crashes)} |",
        f"| slowest to load | {slowest.seconds:.1f} s ({slowest.seed}, of {slowest.name}) |", "",
        "What the refused ones were refused for; one mutant may have several codes. `vcheck explain CODE` explains each.", "",
        "| codes | about | mutants |", "|---|---|--:|",
        *(
            f"| {', '.join(f'{code} {n}' for code, n in sorted(codes.items()) if code.startswith(family))} | {about} | "
            f"{sum(any(code.startswith(family) for code in o.codes) for o in outcomes):,} |"
            for family, about in FAMILIES.items()
        ),
        *(["", "Crashes:", "", *(f"- {crash}" for crash in fuzzed.crashes)] if fuzzed.crashes else []),
    ]


def ended(remains: list[tuple[float, Remains]]) -> list[str]:
    return [
        "## Ctrl-C", "",
        "`vcheck x86 --no-cache -o report.txt`, interrupted at different moments as a terminal does it, by a signal to all processes.",
        "It says `vcheck: interrupted` and exits with 130. Python's own start, the first hundredths of a second, is not the program's",
        "to guard.", "",
        "| after | exit code | ended within | files left | processes left | solvers running |", "|--:|--:|--:|--:|--:|---|",
        *(
            f"| {after:g} s | {r.status} | {r.seconds:.2f} s | {len(r.files)} | {len(r.processes)} | {'yes' if r.solving else 'no'} |"
            for after, r in remains
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.robustness", description=__doc__.split(";")[0].split(": ", 1)[1])
    parser.add_argument("--mutants", type=int, default=MUTANTS)
    parser.add_argument("--jobs", type=int, default=1, help="processes for the mutants")
    asked = parser.parse_args()

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    remains = interrupted(tell)
    with tempfile.TemporaryDirectory() as folder:
        refusals = [refusal(kind, path) for kind, path in bad_files(Path(folder))]
    tell(f"{len(refusals)} bad files")
    fuzzed = fuzz(asked.mutants, asked.jobs, tell)
    PAGE.write_text(page(refusals, fuzzed, remains), encoding="utf-8")
    good = all(r.status == 2 and r.codes and r.clean and r.seconds < 2 for r in refusals)
    return int(bool(fuzzed.crashes) or not good or any(r.status != 130 or r.files or r.processes for _, r in remains))


if __name__ == "__main__":
    sys.exit(main())
