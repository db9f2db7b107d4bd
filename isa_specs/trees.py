"""Syntax trees, built straight from lark's LALR tables.

Lark's own trees cost most of the time of loading a description: they carry positions along through some fifteen rules
from an atom up to an expression. Here a run of rules that only pass one child on is a single step, looked up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lark import Lark, Token
from lark.grammar import NonTerminal, Rule, Terminal
from lark.parsers.lalr_analysis import Shift

from isa_specs.diagnostics import Span
from isa_specs.nodes import Node, Word


class Unparsed(Exception):
    """The text does not follow the grammar."""


class TooDeep(Exception):
    """The tree is deeper than allowed; ``span`` is where."""

    def __init__(self, span: Span):
        self.span = span
        super().__init__()


class _Plan(NamedTuple):
    """What a rule makes of its children. Names of rules that vanish begin with an underscore, as in the grammar."""

    size: int
    origin: str
    kind: str
    vanishes: bool  # its children become those of the rule around it
    inlined: bool  # a single child takes its place
    passes: bool  # it does nothing but that
    children: tuple[tuple[int, bool, int], ...]  # position, whether it vanishes, placeholders before it
    placeholders: int  # behind all children


def _plan(rule: Rule) -> _Plan:
    gaps = [0]  # placeholders before each symbol: lark lists True for each, False for the symbols
    for empty in rule.options.empty_indices or [False] * len(rule.expansion):
        if empty:
            gaps[-1] += 1
        else:
            gaps.append(0)
    children = []
    placeholders = 0
    for i, symbol in enumerate(rule.expansion):
        placeholders += gaps[i]
        if isinstance(symbol, NonTerminal):
            children.append((i, symbol.name.startswith("_"), placeholders))
            placeholders = 0
        elif isinstance(symbol, Terminal) and not symbol.filter_out:
            children.append((i, False, placeholders))
            placeholders = 0
    origin = rule.origin.name
    inlined = bool(rule.options.expand1) and not rule.alias
    passes = inlined and len(rule.expansion) == 1 and children == [(0, False, 0)]
    return _Plan(len(rule.expansion), origin, rule.alias or origin, origin.startswith("_"), inlined, passes, tuple(children),
                 placeholders + gaps[-1])


class _Place:
    """Where the parser is, for the lexer, which knows what can follow there."""

    def __init__(self, position: int):
        self.position = position


class Trees:
    """Parses the texts of one grammar."""

    def __init__(self, lark: Lark):
        self.lark = lark
        self.plans = {rule: _plan(rule) for rule in lark.rules}
        self.passed: dict[tuple[int, int, str], int] = {}

    def parse(self, text: str, file: str, offset: int, max_depth: int) -> Node:
        """The tree of ``text``, which begins ``offset`` lines into ``file``.

        Raises :class:`Unparsed` (or what the lexer raises) and :class:`TooDeep`."""
        interactive: Any = self.lark.parse_interactive(text)  # lark's types are incomplete here
        conf = interactive.parser_state.parse_conf
        table = conf.states
        plans, passed = self.plans, self.passed
        place = _Place(conf.start_state)
        states = [conf.start_state]
        values: list[Any] = []
        spans: list[tuple[int, int, int, int]] = []
        depths: list[int] = []

        def feed(kind: str, last: bool) -> None:
            """Reduce until a token of this kind can be shifted, or to the end."""
            while True:
                top = states[-1]
                if len(states) > 1:
                    key = (states[-2], top, kind)
                    if key not in passed:
                        passed[key] = self._pass(table, *key)
                    top = states[-1] = passed[key]
                if last and top == conf.end_state:
                    return
                found = table[top].get(kind)
                if found is None:
                    raise Unparsed
                if found[0] is Shift:
                    return
                reduce(plans[found[1]])

        def reduce(plan: _Plan) -> None:
            at = len(values) - plan.size
            children: list[Any] = []
            for i, vanishes, placeholders in plan.children:
                if placeholders:
                    children += [None] * placeholders
                value = values[at + i]
                if not vanishes:
                    if isinstance(value, Token):
                        value = Word(str(value), Span(file, *spans[at + i]), value.type)
                    children.append(value)
                elif children:
                    children += value
                else:
                    children = value  # lists grow at their right end: nobody else has this one
            if plan.placeholders:
                children += [None] * plan.placeholders
            first, end = spans[at], spans[-1]
            span = (first[0], first[1], end[2], end[3])
            depth = max(depths[at:])
            made: Any = children
            if plan.inlined and len(children) == 1:
                made = children[0]
            elif not plan.vanishes:
                depth += 1
                made = Node(plan.kind, children, Span(file, *span))
                if depth > max_depth:
                    raise TooDeep(made.span)
            del states[at + 1 :], values[at:], spans[at:], depths[at:]
            states.append(table[states[-1]][plan.origin][1])
            values.append(made)
            spans.append(span)
            depths.append(depth)

        token = None
        for token in interactive.lexer_thread.lex(place):
            feed(token.type, False)
            states.append(table[states[-1]][token.type][1])
            values.append(token)
            spans.append((token.line + offset, token.column, token.end_line + offset, token.end_column))
            depths.append(0)
            place.position = states[-1]
        feed("$END", True)
        result = values[-1].children[0]
        assert isinstance(result, Node)
        return result

    def _pass(self, table: Any, below: int, top: int, kind: str) -> int:
        """The state in place of ``top`` when rules that only pass a child on are done, before a token of this kind."""
        while True:
            found = table[top].get(kind)
            if found is None or found[0] is Shift or not self.plans[found[1]].passes:
                return top
            top = table[below][self.plans[found[1]].origin][1]
