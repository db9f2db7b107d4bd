"""Families: the declarations under a top-level ``for``, once per row with the names replaced."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from isa_specs.diagnostics import Diagnostic, Mistake
from isa_specs.reader import Node, Word

MAX_DECLARATIONS = 20_000
MAX_NODES = 500_000
MAX_STRING = 4000
_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Row = dict[str, Node]  # what stands for each name: a name, number or string node


class Families:
    """Expands families. Rows in error are left out and noted in ``errors``."""

    def __init__(self, errors: list[Diagnostic]):
        self.errors = errors
        self.declarations, self.nodes = MAX_DECLARATIONS, MAX_NODES

    def expand(self, nodes: Iterable[Node]) -> list[Node]:
        """All declarations, families replaced by what they stand for. Raises :class:`Mistake` when they are too many."""
        out: list[Node] = []
        for node in nodes:
            if node.kind == "family":
                for copy in self._family(node):
                    out += self.expand(copy)
                continue
            self.declarations -= 1
            if self.declarations < 0:
                raise Mistake("SP104", f"more than {MAX_DECLARATIONS} declarations after expanding families", node.span)
            out.append(node)
        return out

    def _family(self, node: Node) -> Iterable[list[Node]]:
        names, rows, inner = parts(node)
        for row in rows:
            try:
                if len(row.children) != len(names):
                    raise Mistake("SP105", f"this row has {len(row.children)} entries for {len(names)} names", row.span)
                values = dict(zip(map(str, names), row.children, strict=True))
                copy = [self._substitute(item, values) for item in inner]
            except Mistake as mistake:
                if mistake.diagnostic.code == "SP104":  # no other row would fare better
                    raise
                self.errors.append(mistake.diagnostic)
            else:
                yield copy

    def _substitute(self, item: Any, values: Row) -> Any:
        """``item`` with the names replaced; itself where it mentions none of them."""
        if isinstance(item, Word):
            return _word(item, values)
        if not isinstance(item, Node):
            return item
        self.nodes -= 1
        if self.nodes < 0:
            raise Mistake("SP104", "the families of this description are too large", item.span)
        if item.kind == "name" and item.children[0] in values:
            value = values[item.children[0]]
            if value.kind == "string":
                raise Mistake("SP105", f"{value.children[0]} is a string; a name or a number is needed here", item.span,
                              "a name in a row is written without quotation marks")
            return Node(value.kind, value.children, item.span)
        if item.kind == "family":  # an inner family's own names are not those of the outer
            own = set(parts(item)[0])
            rows = {id(row) for row in parts(item)[1]}
            rest = {name: value for name, value in values.items() if name not in own}
            return Node(item.kind, [self._substitute(c, values if id(c) in rows else rest) for c in item.children], item.span)
        # A name behind a dot is a field's; that a row uses the same word is an accident of spelling.
        last = len(item.children) - 1 if item.kind == "attribute" else -1
        children = [child if i == last else self._substitute(child, values) for i, child in enumerate(item.children)]
        unchanged = all(new is old for new, old in zip(children, item.children, strict=True))
        return item if unchanged else Node(item.kind, children, item.span)


def parts(family: Node) -> tuple[list[Word], list[Node], list[Node]]:
    """Names, rows and declarations of a family."""
    nodes = [child for child in family.children if isinstance(child, Node)]
    names = [child for child in family.children if isinstance(child, Word)]
    return names, [n for n in nodes if n.kind == "row"], [n for n in nodes if n.kind != "row"]


def _word(word: Word, values: Row) -> Word:
    if word.type == "NAME" and word in values:
        text = _text(values[word])
        if not _NAME.fullmatch(text):
            raise Mistake("SP105", f"a name is needed here, not '{text[:40]}'", word.span)
        return Word(text, word.span)
    if word.type == "STRING" and "{" in word:
        new = _HOLE.sub(lambda hole: _text(values[hole[1]]) if hole[1] in values else hole[0], word)
        if len(new) > MAX_STRING:  # strings of inner families can double at every level
            raise Mistake("SP104", f"a string of more than {MAX_STRING} characters", word.span)
        return word if new == word else Word(new, word.span, "STRING")
    return word


def _text(value: Node) -> str:
    word: Word = value.children[0]
    return str(word)[1:-1] if value.kind == "string" else str(word)
