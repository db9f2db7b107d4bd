"""Wording the text and the Markdown report share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from checker.findings import findings, verdict
from checker.model import Form, Instruction, Monitor, Report, Witness

THEOREMS = {
    "T1": ("Theorem 1", "virtualizable: every sensitive instruction is privileged"),
    "T2": ("Theorem 2", "recursively virtualizable: Theorem 1, and a monitor that does not depend on time"),
    "T3": ("Theorem 3", "hybrid: every user sensitive instruction is privileged"),
}

VERDICTS = {
    "virtualizable": "A monitor can run every guest of this machine, and the guest cannot tell.",
    "hybrid only": "A trap-and-emulate monitor fails, but one that interprets all supervisor-mode code works.",
    "not virtualizable": "No monitor described here can run every guest of this machine: some instruction gives the guest away.",
    "inconclusive": "Not everything could be decided; see what is undecided below.",
}

CLASSES = (
    ("critical", "sensitive, not privileged"),
    ("sensitive", "sensitive and privileged"),
    ("privileged", "privileged, not sensitive"),
    ("innocuous", "neither"),
    ("undecided", "not decided"),
)


def class_of(item: Instruction | Form) -> str:
    """The row of :data:`CLASSES` an instruction or form belongs to."""
    if item.critical:
        return "critical"
    if item.critical is None or item.privileged == "unknown":
        return "undecided"
    if item.sensitive:
        return "sensitive"
    return "privileged" if item.privileged == "proved" else "innocuous"


def by_class(report: Report) -> dict[str, list[Instruction]]:
    """The instructions of every class, in the order of the description; empty classes are there too."""
    out: dict[str, list[Instruction]] = {name: [] for name, _ in CLASSES}
    for instruction in report.instructions:
        out[class_of(instruction)].append(instruction)
    return out


def headline(report: Report) -> str:
    """The verdict in one line, such as ``x86: not virtualizable``."""
    words: str = verdict(report)
    proved = [monitor.name for monitor in report.monitors if monitor.verdict == "proved" and not monitor.user_only]
    theorem2 = report.theorems.get("T2")
    if words == "virtualizable" and theorem2 is not None and theorem2.under_controls.verdict == "proved":
        words = "recursively virtualizable"
    return f"{report.isa}{only(report)}: {words}" + (f" ({', '.join(proved)})" if proved else "")


def only(report: Report) -> str:
    """To stand behind the machine's name when the verdict is not about all of it."""
    return f" (only {', '.join(report.only)})" if report.only else ""


def controls(values: Mapping[str, str]) -> str:
    """``eflags.iopl = 0, cr4.tsd = 1``."""
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def truth(value: bool | None) -> str:
    """``yes``, ``no`` or ``unknown``."""
    return "unknown" if value is None else "yes" if value else "no"


def replayed(witness: Witness) -> str:
    """On which machines a counterexample was run."""
    if not witness.replayed:
        return "no" + (f" ({witness.note})" if witness.note else "")
    return "yes, on generated code too" if witness.confirmed else "yes"


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 finding``, ``2 findings``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def summary(report: Report) -> str:
    """The last line: how much was looked at and what came out."""
    found = findings(report)
    errors = sum(finding.severity in ("error", "disputed") for finding in found)
    undecided = sum(finding.severity == "unknown" for finding in found)
    numbers = report.statistics
    return (
        f"{count(numbers.instructions, 'instruction')} in {count(numbers.forms, 'form')}, {numbers.flow} settled by flow and "
        f"{numbers.smt} by {count(numbers.obligations, 'obligation')}; {count(errors, 'finding')}, {undecided} undecided"
    )


ANYWAY = ("always", "sometimes")  # exits that no control asks for


def exits(monitor: Monitor) -> list[tuple[str, list[str]]]:
    """Instructions by when they exit to the monitor: always, in some states, then under each control, in order of first appearance."""
    groups: dict[str, list[str]] = {}
    for when in ANYWAY:
        for exit_ in monitor.exits:
            if exit_.when == when:
                groups.setdefault(when, []).append(exit_.instruction)
    for exit_ in monitor.exits:
        if exit_.when == "control":
            groups.setdefault(" or ".join(exit_.controls), []).append(exit_.instruction)
    return list(groups.items())


def sentence(text: str) -> str:
    """The text with a full stop, unless it has one."""
    return text if not text or text.endswith((".", "!", "?", ":")) else text + "."


def listing(names: Iterable[str]) -> str:
    """Names separated by blanks, or a dash."""
    return " ".join(names) or "-"
