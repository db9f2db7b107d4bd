"""From text to syntax trees: splits a file into declarations and parses each.

Every declaration is parsed on its own, so one syntax error does not hide the next. The trees are
plain :class:`Node` objects; their meaning is given by :mod:`isa_specs.elaborate`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.indenter import DedentError

from isa_specs.diagnostics import Diagnostic, Enough, Mistakes, Span
from isa_specs.grammar import parser
from isa_specs.nodes import Node, Word
from isa_specs.trees import TooDeep, Trees, Unparsed

# Bounds as :data:`isa_specs.load.MAX_BYTES`: far beyond any real description.
MAX_DECLARATION = 32_000  # characters
MAX_BRACKETS = 100
MAX_INDENT = 200  # columns
MAX_DEPTH = 200  # of a tree: expressions can be deep without brackets


@functools.cache
def trees() -> Trees:
    return Trees(parser())


def declarations(text: str) -> Iterator[tuple[int, str]]:
    """Split a file at the lines that start in column 0; yields (line offset, text)."""
    start = 0
    chunk: list[str] = []
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
    errors = Mistakes()
    try:
        for offset, chunk in declarations(text):
            made = declaration(chunk, file, offset)
            if isinstance(made, Diagnostic):
                errors.append(made)
            else:
                nodes.append(made)
    except Enough:
        pass
    return nodes, errors


def declaration(chunk: str, file: str, offset: int) -> Node | Diagnostic:
    """Parse the text of one declaration, ``offset`` lines into the file."""
    problem = _unreadable(chunk, file, offset)
    if problem is not None:
        return problem
    try:
        return trees().parse(chunk + "\n", file, offset, MAX_DEPTH)
    except TooDeep as error:
        return Diagnostic("SP004", f"nested deeper than {MAX_DEPTH}", error.span, _NAME_A_PART)
    except (Unparsed, UnexpectedInput, DedentError):
        return _refusal(chunk, file, offset)


def _refusal(chunk: str, file: str, offset: int) -> Diagnostic:
    """Why a text does not follow the grammar: lark explains it better than a table can."""
    try:
        parser().parse(chunk + "\n")
    except UnexpectedInput as error:
        return _syntax_error(error, chunk, file, offset)
    except DedentError:
        line, column = _misaligned(chunk)
        return Diagnostic("SP002", "this line is indented like none above it", Span(file, line + offset, 1, line + offset, column),
                          "lines of one block start in the same column")
    raise AssertionError("lark parses what its tables do not")


def _misaligned(chunk: str) -> tuple[int, int]:
    """Line and column of the first line that goes back to a column where no block began."""
    columns, depth = [0], 0
    for number, line in enumerate(chunk.split("\n"), 1):
        indent = len(line) - len(line.lstrip(" "))
        if not depth and not _blank(line):
            while indent < columns[-1]:
                columns.pop()
                if indent > columns[-1]:
                    return number, indent + 1
            if indent > columns[-1]:
                columns.append(indent)
        depth = max(0, depth + sum((c in "([{") - (c in ")]}") for c in line))
    return 1, 2


_CONTROL = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f]")


def _unreadable(chunk: str, file: str, offset: int) -> Diagnostic | None:
    """What is looked for before parsing: control characters, tabs in indentation, limits."""
    depth = 0
    for at, line in enumerate(chunk.split("\n"), offset + 1):
        def here(column: int, at: int = at) -> Span:
            return Span(file, at, column, at, column + 1)

        control = _CONTROL.search(line)
        if control is not None:  # it could rewrite a line on the terminal
            return Diagnostic("SP003", f"control character {control.group()!r}", here(control.start() + 1), "a description is plain text")
        indent = len(line) - len(line.lstrip(" \t"))
        if "\t" in line[:indent]:
            return Diagnostic("SP003", "tab in indentation", here(line.index("\t") + 1), "indent with spaces")
        if indent > MAX_INDENT:
            return Diagnostic("SP004", f"indented by more than {MAX_INDENT} columns", here(1), "move a block into a procedure")
        for column, char in enumerate(line, 1):
            if char in "([{":
                depth += 1
                if depth > MAX_BRACKETS:
                    return Diagnostic("SP004", f"brackets nested deeper than {MAX_BRACKETS}", here(column), _NAME_A_PART)
            elif char in ")]}":
                depth = max(0, depth - 1)
    if len(chunk) > MAX_DECLARATION:
        return Diagnostic("SP104", f"a declaration of more than {MAX_DECLARATION} characters", Span(file, offset + 1, 1, offset + 1, 2),
                          "divide it")
    return None


_NAME_A_PART = "name a part of the expression with 'let'"


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
        return _FRIENDLY[token.type].removeprefix("the ").removeprefix("an ")
    return f"'{str(token)[:40]}'"


def _literal(name: str) -> str:
    for terminal in parser().terminals:
        if terminal.name == name:
            return f"'{terminal.pattern.value}'" if terminal.pattern.type == "str" else name.lower()
    return name.lower()


__all__ = ["Node", "Word", "declaration", "declarations", "parse", "parser"]
