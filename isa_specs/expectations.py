"""Expected verdicts: the words they are made of, and which of them count in an extension."""

from __future__ import annotations

from dataclasses import dataclass

from isa_specs.diagnostics import Mistake, nearest
from isa_specs.reader import Node, Word

VERDICTS = ("proved", "refuted", "unknown")
THEOREMS = ("theorem1", "theorem2", "theorem3")
CLASSES = ("critical", "privileged", "innocuous", "sensitive")
SENSITIVITIES = ("control", "location", "mode", "resource", "time", "identity")


@dataclass(frozen=True)
class Expectation:
    """``subject`` is what a later file would have to speak of to replace it."""

    subject: tuple[str, ...]
    words: tuple[str, ...]
    file: str


def of_theorem(node: Node) -> Expectation:
    theorem, *rest = node.children
    _one_of(theorem, THEOREMS)
    if not rest:
        raise Mistake("SP103", "a verdict is missing", node.span, "one of " + ", ".join(VERDICTS))
    verdict, *rest = rest
    _one_of(verdict, VERDICTS)
    for word in rest:
        _one_of(word, ("unconditional",))
    return _made(node, (str(theorem), *map(str, rest)))


def of_monitor(node: Node) -> Expectation:
    verdict, *rest = node.children
    _one_of(verdict, VERDICTS)
    for word in rest:
        raise Mistake("SP103", f"unexpected '{word}'", word.span)
    return _made(node)


def of_instruction(node: Node) -> Expectation:
    first, *rest = node.children
    _one_of(first, CLASSES)
    if first == "sensitive" and not rest:
        raise Mistake("SP103", "the kind of sensitivity is missing", node.span, "one or more of " + ", ".join(SENSITIVITIES))
    for word in rest:
        _one_of(word, SENSITIVITIES if first == "sensitive" else ())
    return _made(node)


def _made(node: Node, subject: tuple[str, ...] = ()) -> Expectation:
    return Expectation(subject, tuple(map(str, node.children)), node.span.file)


def _one_of(word: Word, allowed: tuple[str, ...]) -> None:
    if word not in allowed:
        hint = nearest(word, allowed) or ("one of " + ", ".join(allowed) if allowed else "")
        raise Mistake("SP103", f"unknown word '{word}' in an expectation", word.span, hint)


def in_force(expectations: list[Expectation], files: list[str]) -> list[tuple[str, ...]]:
    """Without those that a later one of ``files`` replaces by speaking of the same subject."""
    last: dict[tuple[str, ...], int] = {}
    for item in expectations:
        last[item.subject] = max(files.index(item.file), last.get(item.subject, 0))
    return [item.words for item in expectations if files.index(item.file) == last[item.subject]]
