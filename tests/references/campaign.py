"""Random cases on a described machine and on an emulator, held against each other."""

from __future__ import annotations

import random
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from isa_specs.core import Form, Isa

KNOWN = Path(__file__).parent.parent / "data" / "references.toml"
TOGETHER = 4000  # cases for one run of an emulator
TRIES = 8  # for each case wanted, as some show nothing
Differences = dict[str, tuple[Any, Any]]


class Target(Protocol):
    """A description and an emulator of the same machine. What cases and final states are is its own affair."""

    isa: Isa
    emulator: str

    def draw(self, form: Form, rng: random.Random) -> Any:
        """A case."""
        ...

    def described(self, case: Any, *, ones: bool = False) -> Any:
        """The final state by the description, or a text that says why the case shows nothing. With ``ones``, whatever the manual
        leaves open is ones instead of zeros."""
        ...

    def emulated(self, cases: Iterable[Any]) -> Iterator[Any]:
        """The final states by the emulator; None where it came to no end."""
        ...

    @property
    def modes(self) -> Sequence[str]:
        """The modes of the processor that cases begin in, in the order of a table's columns."""
        ...

    def mode(self, case: Any) -> str:
        """The one of ``modes`` a case begins in."""
        ...

    def ran(self, case: Any, mine: Any) -> Collection[str]:
        """The instructions the described machine carried out: a branch leads to others than the case is about."""
        ...

    def circumstances(self, case: Any, mine: Any, theirs: Any) -> Collection[str]:
        """What explanations may rest on, in the words of ``when`` in references.toml."""
        ...

    def cause(self, case: Any, final: Any) -> str:
        """What ended the case, in a word or two."""
        ...

    def differences(self, case: Any, mine: Any, theirs: Any) -> Differences:
        """Where two final states differ: what, in the one, in the other."""
        ...


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A case that does not end alike: how here and there, what differs, the instructions carried out and the circumstances."""

    case: Any
    causes: str
    found: Differences
    ran: frozenset[str] = frozenset()
    circumstances: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Known:
    """Differences that have been looked into. ``right`` says who has the manual on its side."""

    emulators: frozenset[str]
    right: str
    reason: str
    instructions: frozenset[str]
    when: str
    cause: str
    what: str

    def explains(self, emulator: str, mismatch: Mismatch) -> bool:
        if emulator not in self.emulators or (self.instructions and not self.instructions & mismatch.ran):
            return False
        if self.when and not any(re.fullmatch(self.when, one) for one in mismatch.circumstances):
            return False
        if not re.fullmatch(self.cause or r"(.*) > \1", mismatch.causes):
            return False
        return not self.what or all(re.fullmatch(self.what, name) for name in mismatch.found if name != "cause")


@cache
def known() -> tuple[Known, ...]:
    entries = tomllib.loads(KNOWN.read_text(encoding="utf-8"))["known"]
    return tuple(Known(frozenset(entry["emulators"]), entry["right"], entry["reason"], frozenset(entry.get("instructions", ())),
                       entry.get("when", ""), entry.get("cause", ""), entry.get("what", "")) for entry in entries)


def explanation(emulator: str, mismatch: Mismatch) -> Known | None:
    return next((entry for entry in known() if entry.explains(emulator, mismatch)), None)


@dataclass
class Tally:
    """What came of the cases for one instruction. ``modes`` counts the cases that show something, by the mode they begin in."""

    modes: Counter[str] = field(default_factory=Counter)
    showed_nothing: Counter[str] = field(default_factory=Counter)
    explained: Counter[Known] = field(default_factory=Counter)
    wrong: list[Mismatch] = field(default_factory=list)

    @property
    def cases(self) -> int:
        return self.modes.total()

    def note(self, mismatch: Mismatch, why: Known | None) -> None:
        if why is None:
            self.wrong.append(mismatch)
        else:
            self.explained[why] += 1


def compare(target: Target, states: int, seed: int, forms: Iterable[Form] = (), tell: Callable[[str], None] = lambda _: None
            ) -> dict[str, Tally]:
    """``states`` cases for each form, tallied by instruction."""
    tallies: dict[str, Tally] = {}
    batch: list[tuple[str, Any, Any]] = []
    wanted = {id(form) for form in forms}
    for number, form in enumerate(target.isa.forms):
        if wanted and id(form) not in wanted:
            continue
        tally = tallies.setdefault(form.instruction, Tally())
        rng = random.Random(f"{seed}/{number}/{form.template}")
        found = 0
        for _ in range(TRIES * states):
            case = target.draw(form, rng)
            mine = target.described(case)
            if isinstance(mine, str):
                tally.showed_nothing[mine] += 1
                continue
            batch.append((form.instruction, case, mine))
            if len(batch) == TOGETHER:
                judge(target, batch, tallies)
                batch.clear()
            found += 1
            if found == states:
                break
        tell(form.instruction)
    judge(target, batch, tallies)
    return tallies


def judge(target: Target, batch: list[tuple[str, Any, Any]], tallies: dict[str, Tally]) -> None:
    """Run a batch on the emulator and tally it. What differs is run once more: where the emulator does not do the same again, a clock
    or a device was in it."""
    doubtful = []
    for (name, case, mine), theirs in zip(batch, target.emulated(case for _, case, _ in batch), strict=True):
        tallies[name].modes[target.mode(case)] += 1
        if theirs is None or differing(target, case, mine, theirs):
            doubtful.append((name, case, mine, theirs))
    for (name, case, mine, first), second in zip(doubtful, target.emulated(case for _, case, _, _ in doubtful), strict=True):
        ran = frozenset(target.ran(case, mine))
        if second is None:
            mismatch = Mismatch(case, "some > none", {"end": ("some", "none")}, ran)
        else:
            both = differing(target, case, mine, second)
            once = both if first is None else differing(target, case, mine, first)
            found = {what: pair for what, pair in once.items() if both.get(what) == pair}
            if not found:
                continue
            causes = f"{target.cause(case, mine)} > {target.cause(case, second)}"
            mismatch = Mismatch(case, causes, found, ran, frozenset(target.circumstances(case, mine, second)))
        tallies[name].note(mismatch, explanation(target.emulator, mismatch))


def differing(target: Target, case: Any, mine: Any, theirs: Any) -> Differences:
    """The differences in what the manual determines."""
    found = target.differences(case, mine, theirs)
    if found:
        other = target.described(case, ones=True)
        if isinstance(other, str):  # it shows something with some clocks and undefined values only
            return {}
        undetermined = target.differences(case, mine, other)
        found = {what: pair for what, pair in found.items() if what not in undetermined}
    return found
