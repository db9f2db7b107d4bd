"""docs/mutations.md: what was deleted, who noticed, and why nobody had to."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from checker.model import Instruction
from checker.reporting.json import parse

from .campaign import EXITS
from .results import Result

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "mutations.md"
SHOWN = 6  # names in a list
KINDS = ("check", "swap", "guard")

INTRODUCTION = """
    A check that can be deleted from a description without a change of any verdict is one the checker does not look at, or one that does
    nothing. `python -m tests.mutations` deletes them one at a time, decides again what the deletion can matter to, and writes this page.
"""
CHECKS = """
    A trap of kind `privileged` or `exit`, a trap that depends on a control the checker is to find, or a call of a procedure that does
    nothing but refuse; in every form it is part of, and in every width a procedure is used at. *Killed*: some instruction that comes by
    it is no longer privileged, has other classes of sensitivity, another square under some profile, or does not preserve an invariant.
"""
SWAPS = """
    An assignment by which hardware loads a register of the guest on entry, or saves it on exit, where a profile declares the register as
    `guest in`. The finding names who should have exchanged it. While the guest runs, the register is then the host's, and the squares of
    what reads or writes it may break as well; the table has the first six that do.
"""
GUARDS = """
    Any other conditional trap: of operands, tables, undefined encodings. One mutant for each statement of a description's own text,
    deleted wherever it ends up, and tried on the two simplest instructions that come by it. A guard that looks at what is the guest's
    own refuses on both machines alike, so a verdict changes only if what it kept from happening matters. That a guard survives is
    therefore no weakness of the checker; the list says what it was tried on.
"""


def page(rows: Sequence[Result]) -> str:
    checks, swaps, guards = ([row for row in rows if row.kind == kind] for kind in KINDS)
    parts = [
        ["# Mutations"], paragraph(INTRODUCTION), overview(rows),
        ["## Checks"], paragraph(CHECKS), *checked(checks),
        ["## Swaps"], paragraph(SWAPS), *swapped(swaps),
        ["## Guards"], paragraph(GUARDS), *guarded(guards),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def paragraph(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), 130, break_long_words=False, break_on_hyphens=False)


def overview(rows: Sequence[Result]) -> list[str]:
    out = ["| description | checks | killed | explained | swaps | killed | guards | killed | harmless |", "|---|" + "--:|" * 8]
    for name in [*dict.fromkeys(row.name for row in rows), ""]:
        check, swap, guard = ([row for row in rows if name in ("", row.name) and row.kind == kind] for kind in KINDS)
        cells = [name or "all", len(check), killed(check), len(check) - killed(check), len(swap), killed(swap),
                 len(guard), killed(guard), len(guard) - killed(guard)]
        out.append("| " + " | ".join(str(cell) if name else f"**{cell}**" for cell in cells) + " |")
    return out


def killed(rows: Iterable[Result]) -> int:
    return sum(bool(row.change) for row in rows)


def checked(rows: Sequence[Result]) -> list[list[str]]:
    exits = [row for row in rows if EXITS in row.change]
    weak = f"""
        {len(exits)} of the killed ones change only the list of what exits. The monitor does without these exits, for what the instruction
        would show or change is the guest's own: {listed(list(dict.fromkeys(row.change.split(" (")[0] for row in exits)), len(exits))}.
    """
    grouped: dict[tuple[str, str], list[Result]] = {}
    for row in rows:
        if not row.change:
            grouped.setdefault((row.what, row.explanation or "**unexplained**"), []).append(row)
    survivors = [f"- `{what}` in {places(group)}. {reason}" for (what, reason), group in grouped.items()]
    return [paragraph(weak) if exits else [], ["The survivors, one by one:"], survivors]


def places(group: Sequence[Result]) -> str:
    where = ", ".join(dict.fromkeys(f"`{row.where}`" for row in group))
    return f"{where} ({', '.join(dict.fromkeys(row.name for row in group))})"


def swapped(rows: Sequence[Result]) -> list[list[str]]:
    table = ["| deleted | from | the finding names | and what breaks with it |", "|---|---|---|---|"]
    merged: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for row in rows:
        if row.change:
            merged.setdefault((row.where, row.culprits, row.broken), []).append(f"`{row.what}`")
    for (where, culprits, broken), what in merged.items():
        table.append(f"| {', '.join(what)} | `{where}` | {listed(culprits, 3)} | {listed(broken, SHOWN) or 'nothing else'} |")
    survivors = [f"- `{row.what}` in `{row.where}`. {row.explanation or '**unexplained**'}" for row in rows if not row.change]
    return [table, ["The survivors, one by one:"] if survivors else [], survivors]


def guarded(rows: Sequence[Result]) -> list[list[str]]:
    noticed = [f"- `{row.what}` in `{row.where}` ({row.name}): {row.change}" for row in rows if row.change]
    grouped: dict[tuple[str, str, str], list[Result]] = {}
    for row in rows:
        if not row.change:
            grouped.setdefault((row.what, row.where, harmless(row)), []).append(row)
    survivors = [f"- `{what}` in {places(group)}: {why}." for (what, _, why), group in grouped.items()]
    return [["Killed:"] if noticed else [], noticed, ["The survivors, one by one:"], survivors]


def harmless(row: Result) -> str:
    """Why deleting a guard does no harm, from the report on what comes by it."""
    sorted_: dict[str, list[str]] = {}
    for subject in row.subjects:
        sorted_.setdefault(reason(instructions(row.name).get(subject), subject), []).append(subject)
    return "; ".join(f"{listed(subjects, SHOWN)}: {why}" for why, subjects in sorted_.items())


@cache
def instructions(name: str) -> dict[str, Instruction]:
    (report,) = parse((ROOT / "reports" / f"{name}.json").read_text(encoding="utf-8"))
    return {instruction.name: instruction for instruction in report.instructions}


def reason(found: Instruction | None, subject: str) -> str:
    if found is None and subject.startswith("delivery"):
        return "done alike on both machines, or by the monitor"
    if found is None:
        return "verdicts are about accesses that do not fault; what a translation refuses is part of what the monitor's tables must keep to"
    if found.privileged == "proved":
        return "refused in user mode before"
    return "critical with and without it" if found.critical or found.critical_unconditional else "innocuous with and without it"


def listed(found: Sequence[str], most: int) -> str:
    shown = ", ".join(found[:most])
    return shown if len(found) <= most else f"{shown} and {len(found) - most} more"
