"""The report as Markdown, to be read and printed: verdict, instructions by class, counterexamples, what it all rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from checker.findings import findings, verdict
from checker.model import Break, Form, Monitor, Report, Witness
from checker.reporting import words

SQUARE = (
    "For every instruction and every virtual state, either the real machine traps to the monitor, or running the instruction "
    "on the image of the state gives the image of its result, changes nothing of the monitor's, and leaves the monitor's record true."
)
LEGAL = "Only states in which these hold are legal; each is preserved by every instruction and every trap."


def render(report: Report) -> str:
    """The whole document."""
    sections = (_verdict, _classes, _critical, _monitors, _all_instructions, _forms, _foundations, _undecided, _glossary)
    return "\n".join(line for section in sections for line in section(report)).rstrip() + "\n"


def render_all(reports: Iterable[Report]) -> str:
    """Several documents, one after the other."""
    return "\n\n".join(map(render, reports))


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A Markdown table and a blank line."""
    titles = list(head)
    yield _row(titles)
    yield "|" + "---|" * len(titles)
    yield from map(_row, rows)
    yield ""


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def code(text: str) -> str:
    """Text as inline code; nothing for nothing."""
    return f"`{text}`" if text else ""


def codes(names: Iterable[str]) -> str:
    """Names as inline code, separated by blanks."""
    return " ".join(map(code, names)) or "none"


def _verdict(report: Report) -> Iterator[str]:
    yield f"# {report.title or report.isa}{words.only(report)}: {verdict(report)}"
    yield ""
    yield words.VERDICTS[verdict(report)] + (f" Described after {report.cites}." if report.cites else "")
    yield ""
    found = [finding for finding in findings(report) if finding.severity in ("error", "disputed")]
    if found:
        yield f"{words.count(len(found), 'finding')}: " + ", ".join(dict.fromkeys(code(finding.subject) for finding in found)) + "."
        yield ""
    under = f"with the controls of `{report.monitor}`" if report.monitor else "under controls"
    rows = []
    for name, theorem in report.theorems.items():
        title, meaning = words.THEOREMS.get(name, (name, ""))
        because = codes(theorem.under_controls.because or theorem.because)
        if theorem.exceptions:
            because += ", excepting " + codes(theorem.exceptions)
        rows.append([f"**{title}**: {meaning}", f"**{theorem.under_controls.verdict}**", theorem.verdict, because])
    yield from table(["Popek and Goldberg 1974", under, "over all legal states", "because of"], rows)
    settings = next((theorem.under_controls.controls for theorem in report.theorems.values() if theorem.under_controls.controls), {})
    if settings:
        yield f"Controls: {codes([words.controls({name: value}) for name, value in settings.items()])}."
        yield ""
    rows = [[code(monitor.name), monitor.title, f"**{monitor.verdict}**", codes(monitor.broken)] for monitor in report.monitors]
    if rows:
        yield from table(["monitor profile", "", "all squares commute", "broken by"], rows)


def _classes(report: Report) -> Iterator[str]:
    yield "## Instructions by class"
    yield ""
    grouped = words.by_class(report)
    meaning = dict(words.CLASSES)
    rows = [[f"**{name}**", meaning[name], str(len(items)), codes(item.name for item in items)] for name, items in grouped.items() if items]
    yield from table(["class", "", "number", "instructions"], rows)
    for observed, text in (("time", "Time-observing"), ("identity", "Identity-observing")):
        names = [instruction.name for instruction in report.instructions if observed in instruction.observes]
        if names:
            yield f"{text}: {codes(names)}. These count against Theorem 2, not against Theorem 1."
            yield ""


def _critical(report: Report) -> Iterator[str]:
    critical = [instruction for instruction in report.instructions if instruction.critical]
    if not critical:
        return
    yield "## Critical instructions"
    yield ""
    for instruction in critical:
        yield f"### {instruction.name}" + (f": {instruction.title}" if instruction.title else "")
        yield ""
        facts = [f"{', '.join(instruction.sensitive)} sensitive", "not privileged"]
        facts += ["also over all legal states"] if instruction.critical_unconditional else []
        facts += ["user sensitive"] if instruction.user_sensitive else []
        facts += [f"certificate {instruction.certificate}"] if instruction.certificate else []
        yield "; ".join(facts) + (f". {instruction.cites}" if instruction.cites else "") + "."
        yield ""
        for reason in instruction.reasons:
            yield from (words.sentence(reason), "")
        if instruction.witness is not None:
            said = instruction.witness.reason in instruction.reasons
            yield from _witness(instruction.witness, with_reason=not said)


def _witness(witness: Witness, with_reason: bool = True) -> Iterator[str]:
    if with_reason and witness.reason:
        yield from (words.sentence(witness.reason), "")
    yield f"Counterexample for {code(witness.form)}" + (f", {witness.region}" if witness.region else "") + ":"
    yield ""
    rows = [[row.when if number == 0 or witness.rows[number - 1].when != row.when else "", code(row.component), row.left, row.right]
            for number, row in enumerate(witness.rows)]
    if rows:
        yield from table(["", "component", *witness.columns], rows)
    if witness.program:
        yield from ("```asm", *witness.program, "```", "")
    if witness.step:
        yield from ("The first step that differs:", "", "```text", *witness.step, "```", "")
    yield f"Replayed: {words.replayed(witness)}."
    if witness.disputed:
        yield f"**Disputed**: {witness.disputed}"
    if witness.command:
        yield f"Reproduce with `{witness.command}`."
    yield ""


def _monitors(report: Report) -> Iterator[str]:
    if report.monitors:
        yield "## Monitors"
        yield ""
        yield SQUARE
        yield ""
    shown = {instruction.name for instruction in report.instructions if instruction.critical and instruction.witness is not None}
    for monitor in report.monitors:
        yield from _monitor(monitor, shown if monitor.name == report.monitor else set())


def _monitor(monitor: Monitor, shown: set[str]) -> Iterator[str]:
    yield f"### `{monitor.name}`: {monitor.verdict}"
    yield ""
    if monitor.title:
        yield from (words.sentence(monitor.title), "")
    if monitor.user_only:
        yield from ("A hybrid monitor: it runs guests in user mode only and interprets their supervisor mode.", "")
    total = list(monitor.squares.values())
    if total:
        yield (f"{total.count('proved')} of {len(total)} squares commute; {total.count('refuted')} broken, "
               f"{total.count('unknown')} undecided.")
        yield ""
    if monitor.controls:
        yield from ("Smallest sufficient controls:" if monitor.verdict == "proved" else "Controls:", "")
        yield from table(["control", "value"], [[code(name), code(value)] for name, value in monitor.controls.items()])
    if monitor.breaks:
        rows = [[code(b.instruction), code(b.form) + (f", {b.region}" if b.region else ""), b.clause, b.reason] for b in monitor.breaks]
        yield from table(["broken", "form", "clause", "why"], rows)
    for broken in monitor.breaks:
        if broken.witness is not None and broken.instruction not in shown:
            yield from _broken(broken, broken.witness)
    groups = words.exits(monitor)
    if groups:
        yield from table(["exits to the monitor", "instructions"],
                         [[when if when in words.ANYWAY else f"when {code(when)}", codes(names)] for when, names in groups])
    yield from _bullets("Assumptions", monitor.assumptions)
    yield from _bullets("Bounds", monitor.bounds)


def _broken(broken: Break, witness: Witness) -> Iterator[str]:
    yield f"#### {broken.instruction}"
    yield ""
    yield from _witness(witness, with_reason=witness.reason != broken.reason)


def _bullets(title: str, items: list[str]) -> Iterator[str]:
    if items:
        yield from (f"{title}:", "", *(f"- {item}" for item in items), "")


def _all_instructions(report: Report) -> Iterator[str]:
    yield "## All instructions"
    yield ""
    names = [monitor.name for monitor in report.monitors]
    head = ["instruction", "", "class", "privileged", "sensitive", "user sensitive", "critical over all legal states",
            *(code(name) for name in names), "certificate"]
    rows = []
    for item in report.instructions:
        squares = [monitor.squares.get(item.name, "") for monitor in report.monitors]
        rows.append([code(item.name), item.title, words.class_of(item), item.privileged, ", ".join([*item.sensitive, *item.observes]),
                     words.truth(item.user_sensitive), words.truth(item.critical_unconditional), *squares, item.certificate])
    yield from table(head, rows)


def _forms(report: Report) -> Iterator[str]:
    """The forms of instructions whose forms or regions differ: there the instruction's verdict says too little."""
    rows = []
    for instruction in report.instructions:
        if len({_verdicts(form) for form in instruction.forms}) > 1:
            for form in instruction.forms:
                rows.append([code(instruction.name), code(form.form), form.region, *_verdicts(form)])
    if rows:
        yield "## Where forms and operand regions differ"
        yield ""
        yield from table(["instruction", "form", "region", "class", "privileged", "sensitive"], rows)


def _verdicts(form: Form) -> tuple[str, str, str]:
    return words.class_of(form), form.privileged, ", ".join([*form.sensitive, *form.observes])


def _foundations(report: Report) -> Iterator[str]:
    if report.memory_system:
        yield from ("## Memory system", "")
        yield from table(["", "verdict", "reason"], [[item.title, item.verdict, item.reason] for item in report.memory_system])
    if report.invariants:
        yield from ("## Invariants", "", LEGAL, "")
        rows = [[item.text, item.verdict, code(item.instruction)] for item in report.invariants]
        yield from table(["invariant", "verdict", "broken by"], rows)
    if report.expectations:
        yield from ("## Expected verdicts", "")
        unmet = [item for item in report.expectations if not item.met]
        yield f"{len(report.expectations) - len(unmet)} of {len(report.expectations)} expectations of the description are met."
        yield ""
        if unmet:
            yield from table(["expected", "found"], [[item.text, item.found] for item in unmet])


def _undecided(report: Report) -> Iterator[str]:
    if report.unknown:
        yield from ("## Undecided", "")
        yield from table(["what", "why"], [[item.what, item.reason] for item in report.unknown])


def _glossary(report: Report) -> Iterator[str]:
    yield from ("## Words", "")
    yield from _bullets("After Popek and Goldberg 1974, sections 3 and 4", [
        "**privileged**: traps in user mode whenever it does not in supervisor mode; to do nothing in user mode is not to trap.",
        "**control sensitive**: can change mode, relocation or a resource of the monitor without a trap.",
        "**location sensitive**: its effect depends on where in storage the guest lies.",
        "**mode sensitive**: its effect depends on the mode.",
        "**resource sensitive**: its effect depends on a resource the monitor owns; the paper's machine has no such registers.",
        "**user sensitive**: sensitive already in user mode (Theorem 3).",
        "**critical**: sensitive and not privileged. **innocuous**: not sensitive.",
        "**any**: a value that does not matter to the counterexample.",
    ])
    if report.unconfirmed:
        yield from (f"Counterexamples were not run on generated code: {report.unconfirmed}.", "")
    yield words.summary(report) + "."
