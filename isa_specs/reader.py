"""From text to syntax trees: splits a file into declarations and parses each.

Every declaration is parsed on its own, so one syntax error does not hide the next. The trees are
plain :class:`Node` objects; their meaning is given by :mod:`isa_specs.elaborate`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.indenter import DedentError, Indenter

from isa_specs.diagnostics import Diagnostic, Span

MAX_BYTES = 4_000_000
MAX_DEPTH = 120
_GRAMMAR = Path(__file__).with_name("spec.lark")


class Node:
    """A syntax tree node: ``kind`` (a grammar rule), ``children`` (nodes, tokens, None), ``span``."""

    __slots__ = ("children", "kind", "span")

    def __init__(self, kind: str, children: list[Any], span: Span):
        self.kind = kind
        self.children = children
        self.span = span

    def __repr__(self) -> str:
        return f"Node({self.kind}, {self.children})"


class Word(str):
    """A token's text with its place and its terminal's name."""

    __slots__ = ("span", "type")
    span: Span
    type: str

    def __new__(cls, text: str, span: Span, type: str = "NAME") -> Word:
        word = super().__new__(cls, text)
        word.span = span
        word.type = type
        return word


class _Layout(Indenter):
    """Turns indentation into _INDENT and _DEDENT tokens."""

    NL_type = "_NL"
    OPEN_PAREN_types = ["LPAR", "LSQB", "LBRACE"]  # noqa: RUF012 - lark's interface
    CLOSE_PAREN_types = ["RPAR", "RSQB", "RBRACE"]  # noqa: RUF012
    INDENT_type = "_INDENT"
    DEDENT_type = "_DEDENT"
    tab_len = 8


@functools.cache
def parser() -> Lark:
    """The LALR parser of one declaration."""
    return Lark(
        _GRAMMAR.read_text(encoding="utf-8"),
        parser="lalr",
        postlex=_Layout(),
        propagate_positions=True,
        maybe_placeholders=True,
    )


def declarations(text: str) -> Iterator[tuple[int, str]]:
    """Split a file at the lines that start in column 0; yields (line offset, text)."""
    start, chunk = 0, []
    for number, line in enumerate(text.split("\n")):
        line = line.rstrip("\r")
        starts = line[:1] not in ("", " ", "\t", ")", "]", "}") and not line.startswith("//")
        if starts and chunk:
            if any(not _blank(part) for part in chunk):
                yield start, "\n".join(chunk)
            start, chunk = number, []
        chunk.append(line)
    if any(not _blank(part) for part in chunk):
        yield start, "\n".join(chunk)


def _blank(line: str) -> bool:
    stripped = line.strip()
    return not stripped or stripped.startswith("//")


def parse(text: str, file: str) -> tuple[list[Node], list[Diagnostic]]:
    """Parse a description. Returns the declarations that parsed and the syntax errors of the others."""
    nodes: list[Node] = []
    errors: list[Diagnostic] = []
    lark = parser()
    for offset, chunk in declarations(text):
        problem = _unreadable(chunk, file, offset)
        if problem is not None:
            errors.append(problem)
            continue
        try:
            tree = lark.parse(_without_leading_blank_lines(chunk) + "\n")
        except UnexpectedInput as error:
            errors.append(_syntax_error(error, chunk, file, offset))
            continue
        except DedentError as error:
            span = Span(file, offset + 1, 1, offset + 1, 2)
            errors.append(Diagnostic("SP002", f"inconsistent indentation in this declaration ({error})", span,
                                     "lines of one block start in the same column"))
            continue
        nodes.append(_convert(tree.children[0], file, offset))
    return nodes, errors


def _without_leading_blank_lines(chunk: str) -> str:
    # The grammar wants the declaration first; comment lines before it are kept as empty lines by
    # the caller's offset, so they are blanked, not removed.
    return chunk


def _unreadable(chunk: str, file: str, offset: int) -> Diagnostic | None:
    """Limits checked before parsing: tabs in indentation, control characters, bracket depth."""
    depth = 0
    for number, line in enumerate(chunk.split("\n")):
        at = offset + number + 1
        indent = re.match(r"[ \t]*", line)
        assert indent is not None
        if "\t" in indent.group():
            column = line.index("\t") + 1
            return Diagnostic("SP003", "tab in indentation", Span(file, at, column, at, column + 1), "indent with spaces")
        for column, char in enumerate(line, 1):
            if char in "([{":
                depth += 1
                if depth > MAX_DEPTH:
                    return Diagnostic("SP004", f"brackets nested deeper than {MAX_DEPTH}",
                                      Span(file, at, column, at, column + 1), "name a part of the expression with 'let'")
            elif char in ")]}":
                depth = max(0, depth - 1)
        if len(indent.group()) > 4 * MAX_DEPTH:
            return Diagnostic("SP004", f"blocks nested deeper than {MAX_DEPTH}", Span(file, at, 1, at, 2))
    return None


def _convert(tree: Any, file: str, offset: int) -> Node:
    """Copy a lark tree into nodes with absolute positions. Iterative: operator chains can be deep."""
    root = Node("", [], Span(file, 0, 0, 0, 0))
    work: list[tuple[Any, list[Any]]] = [(tree, root.children)]
    while work:
        item, out = work.pop()
        if isinstance(item, Tree):
            meta = item.meta
            span = (
                Span(file, meta.line + offset, meta.column, meta.end_line + offset, meta.end_column)
                if not meta.empty
                else Span(file, offset + 1, 1, offset + 1, 2)
            )
            node = Node(str(item.data), [None] * len(item.children), span)
            out.append(node)
            node.children = []
            for child in reversed(item.children):
                work.append((child, node.children))
            # children are popped in order, each appends to node.children after its siblings
        elif isinstance(item, Token):
            span = Span(file, (item.line or 1) + offset, item.column or 1, (item.end_line or 1) + offset, item.end_column or 2)
            out.append(Word(str(item), span, item.type))
        else:
            out.append(item)
    first = root.children[0]
    assert isinstance(first, Node)
    return first


_FRIENDLY = {
    "_NL": "the end of the line", "_INDENT": "an indented block", "_DEDENT": "the end of the block", "NAME": "a name",
    "INT": "a number", "SIZED": "a sized number", "STRING": "a string", "$END": "the end of the declaration",
    "BYTE": "a byte in upper-case hexadecimal",
}


def _syntax_error(error: UnexpectedInput, chunk: str, file: str, offset: int) -> Diagnostic:
    line = max(1, getattr(error, "line", 1) or 1)
    column = max(1, getattr(error, "column", 1) or 1)
    last = chunk.count("\n") + 1
    line = min(line, last)
    if isinstance(error, UnexpectedToken):
        token = error.token
        what = "the declaration ends too early" if token.type == "$END" else f"unexpected {_describe(token)}"
        expected = sorted({_FRIENDLY.get(name, _literal(name)) for name in error.accepts or error.expected})
        hint = "expected " + " or ".join(expected[:6]) + (" ..." if len(expected) > 6 else "")
        width = max(1, len(token)) if token.type not in ("_NL", "_INDENT", "_DEDENT", "$END") else 1
    elif isinstance(error, UnexpectedCharacters):
        what, width = f"unexpected character {error.char!r}", 1
        hint = "" if error.char.isprintable() and error.char.isascii() else "a description is plain text"
    else:
        what, width, hint = "the declaration ends too early", 1, ""
    return Diagnostic("SP001", what, Span(file, line + offset, column, line + offset, column + width), hint)


def _describe(token: Token) -> str:
    if token.type in _FRIENDLY and token.type.startswith("_"):
        return _FRIENDLY[token.type]
    return f"'{str(token)[:40]}'"


def _literal(name: str) -> str:
    for terminal in parser().terminals:
        if terminal.name == name:
            return f"'{terminal.pattern.value}'" if terminal.pattern.type == "str" else name.lower()
    return name.lower()
