"""Verdicts a description expects of itself, held against those found."""

from __future__ import annotations

from checker import model as report
from isa_specs import core

THEOREMS = {"theorem1": "T1", "theorem2": "T2", "theorem3": "T3"}


def expectations(isa: core.Isa, forms: list[core.Form], made: report.Report) -> list[report.Expectation]:
    """Every ``expect`` of the description, in its order: theorems, monitors, instructions.

    A theorem's expectation is on its verdict under the profile's controls, or with ``unconditional`` over all legal states."""
    out: list[report.Expectation] = []
    latest: dict[str, tuple[str, ...]] = {}
    for words in isa.expects:
        latest[" ".join(words[:1] + words[2:])] = words  # an extension's word replaces that of its base
    for words in latest.values():
        theorem = made.theorems.get(THEOREMS.get(words[0], ""))
        if theorem is not None and not made.only:
            found = theorem.verdict if "unconditional" in words else theorem.under_controls.verdict
            out.append(report.Expectation(text=f"expect {' '.join(words)}", met=found == words[1], found=found))
    for monitor in made.monitors:
        declared = isa.monitors[monitor.name].expects
        if declared:
            words = declared[-1]
            out.append(
                report.Expectation(text=f"{monitor.name}: expect {' '.join(words)}", met=monitor.verdict == words[0], found=monitor.verdict)
            )
    # Instructions are described with the first profile in mind.
    return out + of_forms(forms, made) if made.monitor == next(iter(isa.monitors)) else out


def of_forms(forms: list[core.Form], made: report.Report) -> list[report.Expectation]:
    rows: dict[tuple[str, str], list[report.Form]] = {}
    for instruction in made.instructions:
        for row in instruction.forms:
            rows.setdefault((instruction.name, row.form), []).append(row)
    out = []
    for form in forms:
        found = rows.get((form.instruction, form.template), [])
        for words in form.expects[-1:]:
            met = any(_meets(row, words) for row in found) if words[0] == "critical" else all(_meets(row, words) for row in found)
            out.append(
                report.Expectation(
                    text=f"{form.instruction} ({form.template}): expect {' '.join(words)}", met=met, found="; ".join(map(_said, found))
                )
            )
    return out


def _meets(row: report.Form, words: tuple[str, ...]) -> bool:
    match words[0]:
        case "critical":
            return row.critical is True
        case "privileged":
            return row.privileged == "proved"
        case "innocuous":
            return row.sensitive == [] and row.critical is False
        case "sensitive":
            return set(words[1:]) <= {*row.sensitive, *row.observes}
    return False


def _said(row: report.Form) -> str:
    if row.critical is None:
        return "undecided"
    parts = [
        *row.observes,
        *(["critical"] if row.critical else []),
        *(["privileged"] if row.privileged == "proved" else []),
        *row.sensitive,
    ]
    return " ".join(parts) or "innocuous"
