"""Families: the declarations under a top-level ``for``, once per row with the names replaced."""

from __future__ import annotations

import re
from typing import Any

from isa_specs.diagnostics import Mistake
from isa_specs.reader import Node, Word

MAX_DECLARATIONS = 20_000
_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expand(nodes: list[Node], budget: list[int] | None = None) -> list[Node]:
    """All declarations, families replaced by what they stand for.

    Raises :class:`Mistake` for rows of the wrong length or too many declarations."""
    budget = budget if budget is not None else [MAX_DECLARATIONS]
    out: list[Node] = []
    for node in nodes:
        if node.kind != "family":
            budget[0] -= 1
            if budget[0] < 0:
                raise Mistake("SP104", f"more than {MAX_DECLARATIONS} declarations after expanding families", node.span)
            out.append(node)
            continue
        names = [child for child in node.children if isinstance(child, Word)]
        rows = [child for child in node.children if isinstance(child, Node) and child.kind == "row"]
        inner = [child for child in node.children if isinstance(child, Node) and child.kind != "row"]
        for row in rows:
            if len(row.children) != len(names):
                raise Mistake("SP105", f"this row has {len(row.children)} entries for {len(names)} names", row.span)
            values = {name: _atom(item) for name, item in zip(names, row.children, strict=True)}
            out += expand([_substitute(item, values) for item in inner], budget)
    return out


def _atom(item: Any) -> Any:
    """A row entry: a name node, number node or string word."""
    return item


def _text(value: Any) -> str:
    word = value if isinstance(value, Word) else value.children[0]
    return str(word)[1:-1] if word.type == "STRING" else str(word)


def _substitute(item: Any, values: dict[str, Any]) -> Any:
    if isinstance(item, Node):
        if item.kind == "name" and item.children[0] in values:
            value = values[item.children[0]]
            return Node(value.kind, value.children, item.span) if isinstance(value, Node) else value
        # names local to the declaration (fields after a dot) are children like any other word, but a
        # row name would only shadow them by accident of spelling; attributes are left alone.
        if item.kind == "attribute":
            return Node(item.kind, [_substitute(item.children[0], values), item.children[1]], item.span)
        return Node(item.kind, [_substitute(child, values) for child in item.children], item.span)
    if isinstance(item, Word):
        if item.type == "NAME" and item in values:
            return Word(_text(values[item]), item.span, "NAME")
        if item.type == "STRING" and "{" in item:
            return Word(_HOLE.sub(lambda m: _text(values[m.group(1)]) if m.group(1) in values else m.group(0), item), item.span, "STRING")
    return item
