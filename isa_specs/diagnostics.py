"""Mistakes in a description: what they carry, and the one place that words them for a terminal.

An error holds facts (code, span, message, notes, hint); :func:`render` alone turns it into text.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """A stretch of source text. Lines and columns count from 1; ``end_column`` is exclusive."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


NOWHERE = Span("", 0, 0, 0, 0)
MAX_MISTAKES = 100
MAX_COMPARED, MAX_NAME = 1000, 40  # a hint is not worth more time


@dataclass(frozen=True)
class Diagnostic:
    """One mistake. ``code`` is stable and explained by ``vcheck explain CODE``."""

    code: str
    message: str
    span: Span
    hint: str = ""
    severity: str = "error"


class SpecError(Exception):
    """A description that cannot be used; carries every mistake found in it."""

    def __init__(self, diagnostics: Iterable[Diagnostic]):
        self.diagnostics = tuple(diagnostics)
        super().__init__("; ".join(f"{d.code} {d.message}" for d in self.diagnostics[:3]))


class Mistake(Exception):
    """Raised inside the front end to abandon one declaration; collected by the caller."""

    def __init__(self, code: str, message: str, span: Span, hint: str = ""):
        self.diagnostic = Diagnostic(code, message, span, hint)
        super().__init__(message)


class Enough(Exception):
    """Raised when so much is wrong that reading on would tell nothing new."""


class Mistakes(list[Diagnostic]):
    """The mistakes found so far, each once. Raises :class:`Enough` when there are MAX_MISTAKES."""

    noted = 0  # times anything was found, again or for the first time

    def append(self, diagnostic: Diagnostic) -> None:
        self.noted += 1
        if diagnostic in self:
            return
        if len(self) >= MAX_MISTAKES:
            super().append(Diagnostic("SP005", f"more than {MAX_MISTAKES} mistakes; the rest is not shown", diagnostic.span))
            raise Enough
        super().append(diagnostic)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint naming the known word closest to ``name``, or an empty string."""
    if len(name) > MAX_NAME:
        return ""
    # Words of very different length cannot be near: leaving them out changes nothing but the time it takes.
    return _nearest(str(name), tuple(k for k in known if 3 * max(len(k), len(name)) <= 7 * min(len(k), len(name)))[:MAX_COMPARED])


@functools.lru_cache(maxsize=MAX_MISTAKES)
def _nearest(name: str, known: tuple[str, ...]) -> str:
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean '{found[0]}'?" if found else ""


def render(diagnostic: Diagnostic, source: str | None) -> str:
    """The mistake as text: ``file:line:column``, the line, a caret under the span, the hint. On a whole file: ``file``."""
    span = diagnostic.span
    place = f"{span.file}:{span.line}:{span.column}" if span.line else span.file
    head = f"{place}: {diagnostic.severity} {diagnostic.code}: {diagnostic.message}"
    out = [head]
    lines = source.split("\n") if source is not None else []
    if 0 < span.line <= len(lines):
        text = lines[span.line - 1].rstrip("\r")
        start = min(span.column, len(text) + 1)
        end = span.end_column if span.end_line == span.line else len(text) + 1
        # A line may be megabytes long in hostile input: show a window around the caret.
        left = max(0, start - 81)
        shown = text[left : left + 160]
        carets = max(1, min(end, left + len(shown) + 1) - start)
        gutter = f"{span.line:>5} | "
        out.append(gutter + shown)
        out.append(" " * len(gutter) + " " * (start - 1 - left) + "^" * carets)
    if diagnostic.hint:
        out.append(f"      = help: {diagnostic.hint}")
    return "\n".join(out)
