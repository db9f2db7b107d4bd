"""The report as text for a terminal. Its width is fixed, so that the text does not depend on where it is printed."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator

from checker.findings import Finding, findings, verdict
from checker.model import Form, Instruction, Monitor, Place, Report, Row, Theorem, Witness
from checker.reporting import words

WIDTH = 100

HYBRID = "hybrid: runs guests in user mode only and interprets their supervisor mode"

Paint = Callable[[str, str], str]

_ANSI = {
    "bold": "1", "dim": "2", "error": "1;31", "note": "36", "unknown": "33", "disputed": "1;35", "proved": "32", "refuted": "31",
}


def plain(text: str, style: str) -> str:
    """No colour."""
    return text


def colour(text: str, style: str) -> str:
    """ANSI colours; the words alone say the same."""
    return f"\033[{_ANSI[style]}m{text}\033[0m" if style in _ANSI and text else text


def render(report: Report, paint: Paint = plain, verbose: bool = False) -> str:
    """The whole report. ``verbose`` shows notes in full too, not in one line each."""
    return "\n".join(_lines(report, paint, verbose)) + "\n"


def _lines(report: Report, paint: Paint, verbose: bool) -> Iterator[str]:
    yield paint(words.headline(report), "bold")
    yield from _wrap(f"{report.title}{f' ({report.cites})' if report.cites else ''}", "  ")
    yield from _wrap(words.VERDICTS[verdict(report)], "  ")
    yield ""
    settings = next((theorem.under_controls.controls for theorem in report.theorems.values() if theorem.under_controls.controls), {})
    if settings:
        yield from _wrap(f"controls of {report.monitor}: {words.controls(settings)}", "", 2)
    for name, theorem in report.theorems.items():
        yield from _theorem(name, theorem, paint)
    for monitor in report.monitors:
        yield ""
        yield from _monitor(monitor, monitor.name == report.monitor, paint)
    found = findings(report)
    for finding in found:
        if finding.severity != "note" or verbose:
            yield ""
            yield from render_finding(finding, paint)
    notes = [finding for finding in found if finding.severity == "note"]
    if notes and not verbose:
        yield ""
        yield from _notes(notes, paint)
    yield ""
    yield paint("instructions by class", "bold") + (f" under {report.monitor}" if report.monitor else "")
    for name, instructions in words.by_class(report).items():
        if instructions:
            yield from _wrap(f"{name:<11}{len(instructions):>4}  " + words.listing(i.name for i in instructions), "  ", 19)
    proved = sum(invariant.verdict == "proved" for invariant in report.invariants)
    if report.invariants:
        yield f"  {proved} of {words.count(len(report.invariants), 'invariant')} proved preserved"
    if isinstance(report.statistics.seconds, dict):
        yield ""
        yield from _timings(report.statistics.seconds, report.statistics.instructions)
    if report.unconfirmed:
        yield ""
        yield from _wrap(f"counterexamples were not run on generated code: {report.unconfirmed}", "", 2)
    yield ""
    yield words.summary(report)


def _theorem(name: str, theorem: Theorem, paint: Paint) -> Iterator[str]:
    title, meaning = words.THEOREMS.get(name, (name, ""))
    under = theorem.under_controls
    where = " under the controls" if under.controls else ""
    yield f"{paint(title, 'bold')}  {paint(under.verdict, under.verdict)}{where}, {theorem.verdict} over all legal states"
    yield from _wrap(meaning, "  ")
    if under.because:
        yield from _wrap("because " + words.listing(under.because), "  ", 10)
    elif theorem.because:
        yield from _wrap("over all legal states because " + words.listing(theorem.because), "  ", 10)
    if theorem.exceptions:
        yield from _wrap("except  " + words.listing(theorem.exceptions), "  ", 10)


def _monitor(monitor: Monitor, is_headline: bool, paint: Paint) -> Iterator[str]:
    yield f"{paint('monitor ' + monitor.name, 'bold')}  {paint(monitor.verdict, monitor.verdict)}" + ("  (headline)" if is_headline else "")
    parts = [("", monitor.title), ("", HYBRID if monitor.user_only else ""), ("controls", words.controls(monitor.controls)),
             ("broken", " ".join(monitor.broken)), ("undecided", " ".join(monitor.unknown))]
    parts += [(f"exits {when if when in words.ANYWAY else f'by {when}'}", words.listing(names)) for when, names in words.exits(monitor)]
    parts += [("assuming", text) for text in monitor.assumptions] + [("bound", text) for text in monitor.bounds]
    for label, text in parts:
        if text:
            yield from _wrap(f"{label}: {text}" if label else text, "  ", 4)


def _notes(notes: list[Finding], paint: Paint) -> Iterator[str]:
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for note in notes:
        title = note.title.removeprefix(f"{note.subject}: ")
        grouped.setdefault((note.code, title, note.monitor), []).append(note.subject)
    for (code, title, monitor), subjects in grouped.items():
        where = f" under {monitor}" if monitor else ""
        lines = _wrap(f"note {code} {title}{where}: {words.listing(subjects)}", "", 4)
        yield paint(next(lines), "note")
        yield from lines


def render_finding(finding: Finding, paint: Paint = plain) -> Iterator[str]:
    """One finding: code and title, place with caret, the reason, the counterexample, how to repair and reproduce it."""
    under = f" under {finding.monitor}" if finding.monitor else ""
    yield paint(f"{finding.severity} {finding.code} {finding.title}{under}", finding.severity)
    if finding.place is not None:
        yield from _place(finding.place, paint)
    yield from _wrap(words.sentence(finding.sentence), "  ")
    if finding.witness is not None:
        yield from witness_lines(finding.witness, paint)
    if finding.help:
        yield from _wrap(f"help: {finding.help}", "  ", 8)
    yield f"  explain: vcheck explain {finding.code}"


def _place(place: Place, paint: Paint) -> Iterator[str]:
    yield f"  --> {place.file}:{place.line}:{place.column}"
    if place.text:
        shown = place.text[: WIDTH - 10]
        end = min(max(place.end_column, place.column + 1), len(shown) + 1)
        yield f"{place.line:>5} | {shown}"
        yield "      | " + " " * (place.column - 1) + paint("^" * max(1, end - place.column), "error")


def witness_lines(witness: Witness, paint: Paint = plain) -> Iterator[str]:
    """A counterexample: where, the two columns, the guest program."""
    where = witness.form + (f", {witness.region}" if witness.region else "")
    yield from _wrap(f"form: {where}", "  ", 8)
    if witness.rows:
        yield from _two_columns(witness.rows, witness.columns, paint)
    if witness.program:
        yield "  guest program:"
        yield from (f"    {line}" for line in witness.program)
    if witness.step:
        yield f"  first step that differs: {witness.step[0]}"
        yield from (f"    {line}" for line in witness.step[1:])
    yield f"  replayed: {words.replayed(witness)}"
    if witness.disputed:
        yield from _wrap(f"disputed: {witness.disputed}", "  ", 4)
    if witness.command:
        yield f"  reproduce: {witness.command}"


def _two_columns(rows: list[Row], columns: tuple[str, str], paint: Paint) -> Iterator[str]:
    first = max([len(row.component) for row in rows] + [6])
    second = max([len(row.left) for row in rows] + [len(columns[0])])
    for when in ("before", "after"):
        part = [row for row in rows if row.when == when]
        if part:
            yield "    " + paint(f"{when:<{first}}  {columns[0]:<{second}}  {columns[1]}", "dim")
            yield from (f"    {row.component:<{first}}  {row.left:<{second}}  {row.right}".rstrip() for row in part)


def one_line(item: Instruction | Form) -> str:
    """The verdicts on an instruction or form in one line."""
    parts = [words.class_of(item), f"privileged {item.privileged}", f"sensitive {', '.join(item.sensitive) or '-'}"]
    parts += [f"observes {', '.join(item.observes)}"] if item.observes else []
    parts.append(f"user sensitive {words.truth(item.user_sensitive)}")
    parts.append(f"over all legal states critical {words.truth(item.critical_unconditional)}")
    parts += [f"square {name} {verdict}" for name, verdict in (item.squares if isinstance(item, Form) else {}).items()]
    return "; ".join(parts) + (f" ({item.certificate})" if item.certificate else "")


def _timings(seconds: dict[str, float], instructions: int) -> Iterator[str]:
    yield "time by part"
    for part, value in seconds.items():
        yield f"  {part:<10} {value:8.3f} s  {1000 * value / max(1, instructions):8.2f} ms an instruction"


def _wrap(text: str, indent: str, hanging: int | None = None) -> Iterator[str]:
    rest = " " * hanging if hanging is not None else indent
    lines = textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)
    return iter(lines)


def render_all(reports: Iterable[Report], paint: Paint = plain, verbose: bool = False) -> str:
    """Several reports, a blank line between them."""
    return "\n".join(render(report, paint, verbose) for report in reports)
