"""What syntax trees are made of."""

from __future__ import annotations

from typing import Any

from isa_specs.diagnostics import Span


class Node:
    """A syntax tree node: ``kind`` (a grammar rule), ``children`` (nodes, words, None), ``span``."""

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

    def __getnewargs__(self) -> tuple[str, Span, str]:  # type: ignore[override]
        return str(self), self.span, self.type
