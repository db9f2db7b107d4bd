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


@dataclass(frozen=True)
class Figures:
    """The outcome of one campaign. ``title`` says which description and which emulator."""

    title: str
    states: int
    seed: int
    seconds: float
    tallies: Mapping[str, Tally]


def page(campaigns: Sequence[Figures]) -> str:
    """The whole page, in Markdown."""
    return "\n".join([HEAD, *(line for figures in campaigns for line in section(figures))]) + "\n"


def section(figures: Figures) -> list[str]:
    tallies = figures.tallies
    total = sum(tally.cases for tally in tallies.values())
    explained: Counter[Known] = sum((tally.explained for tally in tallies.values()), Counter())
    open_ones = sum(len(tally.wrong) for tally in tallies.values())
    rate = 60 * total / figures.seconds
    out = [
        f"## {figures.title}", "",
        f"{figures.states} states a form, seed {figures.seed}: {total} cases, {rate:.0f} a minute; {explained.total()} explained, "
        f"{open_ones} open.", "",
        "| instruction | cases | agree | explained | open |", "|---|--:|--:|--:|--:|",
    ]
    for name, tally in tallies.items():
        differ = tally.explained.total(), len(tally.wrong)
        out.append(f"| {name} | {tally.cases} | {tally.cases - sum(differ)} | {differ[0] or ''} | {differ[1] or ''} |")
    if explained:
        out += ["", "| explained | cases | right |", "|---|--:|---|"]
        out += [f"| {entry.reason} | {count} | {entry.right} |" for entry, count in explained.most_common()]
    if open_ones:
        out += ["", f"Open, at most {LISTED} of an instruction:", ""]
        for name, tally in tallies.items():
            for case, found in tally.wrong[:LISTED]:
                some = ", ".join(f"{what} {shown(mine)}, {shown(theirs)}" for what, (mine, theirs) in list(found.items())[:4])
                out.append(f"- {name} `{case.code.hex()}`: {some}")
    return [*out, ""]


def shown(value: object) -> str:
    return f"{value:#x}" if isinstance(value, int) else str(value)
