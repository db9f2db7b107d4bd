"""From text to trees."""

from __future__ import annotations

from typing import Any

import pytest
from lark import Lark, Token, Tree

from isa_specs import grammar
from isa_specs.diagnostics import Diagnostic
from isa_specs.load import bundled
from isa_specs.reader import Node, Word, declaration, declarations, parse


def from_lark(item: Any, offset: int) -> Any:
    if isinstance(item, Tree):
        m = item.meta
        place = (m.line + offset, m.column, m.end_line + offset, m.end_column)
        return str(item.data), place, [from_lark(child, offset) for child in item.children]
    if isinstance(item, Token):
        assert item.line is not None
        assert item.end_line is not None
        return str(item), item.type, (item.line + offset, item.column, item.end_line + offset, item.end_column)
    return item


def from_reader(item: Any) -> Any:
    if isinstance(item, Node):
        return item.kind, tuple(item.span[1:]), [from_reader(child) for child in item.children]
    if isinstance(item, Word):
        return str(item), item.type, tuple(item.span[1:])
    return item


@pytest.mark.parametrize("name", ["s370", "x86_vtx", "teaching/paged", "teaching/third_generation"])
def test_trees_are_those_lark_builds(name: str) -> None:
    lark = Lark(grammar.GRAMMAR.read_text(encoding="utf-8"), parser="lalr", postlex=grammar.Layout(), propagate_positions=True,
                maybe_placeholders=True)
    for offset, chunk in declarations(bundled()[name].read_text(encoding="utf-8")):
        ours, theirs = declaration(chunk, name, offset), lark.parse(chunk + "\n")
        assert isinstance(ours, Node)
        assert from_reader(ours) == from_lark(theirs.children[0], offset)


def test_declarations_start_in_column_0() -> None:
    text = "// first\n\nconst a = (1 +\n2\n) // behind\n// about b\nconst b = 2\n  // in b\n\nstate\n  x : bit data\n"
    assert [(offset, chunk.split("\n")[0]) for offset, chunk in declarations(text)] == [
        (2, "const a = (1 +"), (3, "2"), (6, "const b = 2"), (9, "state")]


def test_brackets_hold_lines_together() -> None:
    nodes, errors = parse("names a = x\nfor A in [\n  (X),\n  (Y),\n]\n  const A = 1\nbefore [L,\n  ST,\n]\n  mask <- 0\n", "f")
    assert errors == []
    assert [node.kind for node in nodes] == ["names", "family", "patch_before"]
    assert nodes[2].children[:2] == ["L", "ST"]


def test_every_declaration_is_read_on_its_own() -> None:
    nodes, errors = parse("const a = 1\nconst b = \nconst c = 3\n  junk\nconst d = 4\n", "f")
    assert [node.children[0].children[0] for node in nodes] == ["a", "d"]
    assert [(error.code, error.span.line) for error in errors] == [("SP001", 2), ("SP001", 3)]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("const a = 1 1", "SP001", "unexpected '1'"),
        ("state\n", "SP001", "the declaration ends too early"),
        ("const a = (1", "SP001", "the declaration ends too early"),
        ("const é = 1", "SP001", "unexpected character 'é'"),
        ("procedure p\n    mask <- 0\n  mask <- 0", "SP002", "this line is indented like none above it"),
        ("procedure p\n\tmask <- 0", "SP003", "tab in indentation"),
        ("const a = 1 \x07", "SP003", "control character '\\x07'"),
    ],
)
def test_messages(text: str, code: str, message: str) -> None:
    found = declaration(text, "f", 0)
    assert isinstance(found, Diagnostic)
    assert (found.code, found.message) == (code, message)
