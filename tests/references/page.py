"""The figures of campaigns as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.references.campaign import Known, Tally

HEAD = """\
# Other emulators

Written by `python -m tests.references --write`. Each described form runs in random states, biased to edges, on the machine generated
from the description and on an emulator written by others; compared is the whole state after the first interruption or exception: registers,
control state, storage. The images the emulators run are assembled by the derived assembler ([tests/references/](../tests/references)).

A case *agrees* if nothing differs that the manual determines. Differences that have been looked into are *explained*, with whoever
has the manual on its side; their list is in [tests/data/references.toml](../tests/data/references.toml). *Open* ones are not.
"""
LISTED = 3  # open differences listed of an instruction
NAMED = 24  # instructions named beside an explanation


@dataclass(frozen=True)
class Figures:
    """The outcome of one campaign. ``title`` says which description and which emulator."""

    title: str
    states: int
    seed: int
    seconds: float
    modes: Sequence[str]
    tallies: Mapping[str, Tally]


def page(campaigns: Sequence[Figures], old: str = "") -> str:
    """The whole page, in Markdown; what ``old`` says of other campaigns stays."""
    sections = {part.partition("\n")[0]: part for part in old.split("\n## ")[1:]}
    sections |= {figures.title: "\n".join(section(figures)) for figures in campaigns}
    return "\n## ".join([HEAD, *(sections[title].strip("\n") + "\n" for title in sorted(sections))])


def section(figures: Figures) -> list[str]:
    tallies, modes = figures.tallies, figures.modes
    total = sum(tally.cases for tally in tallies.values())
    explained: Counter[Known] = sum((tally.explained for tally in tallies.values()), Counter())
    open_ones = sum(len(tally.wrong) for tally in tallies.values())
    rate = 60 * total / figures.seconds
    out = [
        figures.title, "",
        f"{figures.states:,} states a form, seed {figures.seed}: {total:,} cases, {rate:,.0f} a minute; {explained.total():,} explained, "
        f"{open_ones:,} open. Cases are counted by the mode they begin in.", "",
        f"| instruction | {' | '.join(modes)} | agree | explained | open |", "|---|" + "--:|" * (len(modes) + 3),
    ]
    for name, tally in tallies.items():
        differ = tally.explained.total(), len(tally.wrong)
        counts = (*(tally.modes[mode] for mode in modes), tally.cases - sum(differ), differ[0] or "", differ[1] or "")
        out.append(f"| {name} | {' | '.join(map(str, counts))} |")
    if explained:
        out += ["", "| explained | instructions | cases | right |", "|---|---|--:|---|"]
        reasons: dict[tuple[str, str], list[Known]] = {}
        for entry, _ in explained.most_common():
            reasons.setdefault((entry.reason, entry.right), []).append(entry)
        for (reason, right), entries in reasons.items():
            where = [name for name, tally in tallies.items() if any(tally.explained[entry] for entry in entries)]
            named = " ".join(where) if len(where) <= NAMED else f"{len(where)} of them"
            out.append(f"| {reason} | {named} | {sum(explained[entry] for entry in entries)} | {right} |")
    if open_ones:
        out += ["", f"Open, at most {LISTED} of an instruction:", ""]
        for name, tally in tallies.items():
            for wrong in tally.wrong[:LISTED]:
                some = ", ".join(f"{what} {shown(mine)}, {shown(theirs)}" for what, (mine, theirs) in list(wrong.found.items())[:4])
                out.append(f"- {name} `{wrong.case.code.hex()}`, {wrong.causes}: {some}")
    return out


def shown(value: object) -> str:
    return f"{value:#x}" if isinstance(value, int) else str(value)
