"""Places of a description, and the text that stands there."""

from __future__ import annotations

import textwrap

from checker.model import Place
from isa_specs.core import Isa
from isa_specs.diagnostics import Span
from isa_specs.reader import declarations


def place(isa: Isa, span: Span) -> Place | None:
    """The place of a span with the text of its first line, from the first character on; None for nowhere."""
    lines = isa.sources.get(span.file, "").split("\n")
    if not 0 < span.line <= len(lines):
        return None
    text = lines[span.line - 1].rstrip()
    end = span.end_column if span.end_line == span.line else len(text) + 1
    return Place(file=span.file, line=span.line, column=span.column, end_column=end, text=text)


def source(isa: Isa, span: Span) -> str:
    """The lines of a declaration, its indentation removed, without blank lines and comments behind it."""
    lines = isa.sources.get(span.file, "").split("\n")[span.line - 1 : span.end_line]
    if len(lines) > 1 and not lines[-1][: span.end_column - 1].strip():
        lines.pop()
    while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip().startswith("//")):
        lines.pop()
    return textwrap.dedent("\n".join(line.rstrip() for line in lines))


def patches(isa: Isa, instruction: str) -> list[tuple[str, int, str]]:
    """The ``before`` and ``after`` declarations that name an instruction: (file, line, text)."""
    found = []
    for file, text in isa.sources.items():
        for offset, chunk in declarations(text):
            lines = [line for line in chunk.split("\n") if line.strip() and not line.startswith("//")]
            if lines and lines[0].startswith(("before ", "after ")) and instruction in lines[0].replace(",", " ").split()[1:]:
                start = offset + 1 + chunk.split("\n").index(lines[0])
                found.append((file, start, "\n".join(lines)))
    return found
