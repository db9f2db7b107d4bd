"""What an extension takes away from the descriptions below it: ``without KIND NAME, ...``.

A processor is often another one that lacks things. Declarations are dropped as trees, before any of them is given meaning;
whatever still refers to one is then a mistake like any other.
"""

from __future__ import annotations

from collections.abc import Iterable

from isa_specs.diagnostics import Diagnostic, Mistake, nearest
from isa_specs.reader import Node, Word

# Where in a declaration of each kind its name stands.
_NAME_AT = {"instruction": 1, "function": 1, "procedure": 1, "accessor": 1, "translation": 1, "trap": 1, "interrupt": 1,
            "invariant": 0, "monitor": 0, "file": 0, "layout": 0}
_KINDS = (*_NAME_AT, "state")


def remaining(nodes: Iterable[Node], errors: list[Diagnostic]) -> list[Node]:
    """The declarations, base first, without those a later file drops. Names nothing answers to are noted in ``errors``."""
    kept: list[Node] = []
    for node in nodes:
        if node.kind != "without":
            kept.append(node)
            continue
        kind, *dropped = node.children
        for item in (child for child in dropped if child is not None):
            try:
                kept = _without(kept, kind, item, node.span.file)
            except Mistake as mistake:
                errors.append(mistake.diagnostic)
    return kept


def _without(nodes: list[Node], kind: Word, item: Node, file: str) -> list[Node]:
    if kind not in _KINDS:
        hint = nearest(kind, _KINDS) or "one of " + ", ".join(_KINDS)
        raise Mistake("SP103", f"'{kind}' is nothing that can be left out", kind.span, hint)
    below = [node for node in nodes if node.kind == kind and node.span.file != file]
    path = [str(word) for word in item.children]
    name = ".".join(path)
    if kind == "state":
        left = {id(node): _without_component(node, path) for node in below}
        if all(new is node for new, node in zip(left.values(), below, strict=True)):
            raise _unknown(kind, item, name, (str(part.children[0]) for node in below for part in node.children))
        return [left.get(id(node), node) for node in nodes]
    at = _NAME_AT[kind]
    gone = {id(node) for node in below if node.children[at] == name}
    if not gone:
        raise _unknown(kind, item, name, (str(node.children[at]) for node in below))
    return [node for node in nodes if id(node) not in gone]


def _without_component(node: Node, path: list[str]) -> Node:
    """``node``, a ``state`` or a component, without the component at ``path`` below it; itself where there is none."""
    first, *rest = path
    children = []
    for child in node.children:
        if isinstance(child, Node) and child.kind == "component" and child.children[0] == first:
            if not rest:
                continue
            child = _without_component(child, rest)
        children.append(child)
    unchanged = len(children) == len(node.children) and all(new is old for new, old in zip(children, node.children, strict=True))
    return node if unchanged else Node(node.kind, children, node.span)


def _unknown(kind: Word, item: Node, name: str, known: Iterable[str]) -> Mistake:
    return Mistake("SP100", f"unknown {kind} '{name}'", item.span, nearest(name, known) or "only what the base declares can be left out")
