"""Terms as SMT-LIB 2.6 text (logic QF_AUFBV).

Larger subterms become definitions, the same in every obligation that uses them, so that their text is made once. To the solver they
are macros, shared wherever they are used; conjunctions among them should be asserted part by part (see
:mod:`checker.conditions`). One-bit terms have two faces, Bool and bit vector; each is written only where needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from checker.term import Term
from isa_specs.ops import OPERATORS

LOGIC = "QF_AUFBV"

_CONSTANT = {"true": "#b1", "false": "#b0"}
INLINE = 40  # characters: shorter texts are repeated where they are used


def symbol(name: str) -> str:
    """A variable's name as an SMT-LIB symbol."""
    return name if re.fullmatch(r"[A-Za-z_.$@!%&*<>=?^~+-][A-Za-z0-9_.$@!%&*<>=?^~+-]*", name) else f"|{name}|"


def _sort(term: Term) -> str:
    return f"(Array (_ BitVec {term.address}) (_ BitVec {term.width}))" if term.address else f"(_ BitVec {term.width})"


def _constant(term: Term, value: int | dict[int, int]) -> str:
    """A value of a variable or a memory."""
    if isinstance(value, int):
        return f"(_ bv{value} {term.width})"
    cells = "".join(f" (_ bv{at} {term.address}) (_ bv{cell} {term.width}))" for at, cell in value.items())
    return f"{'(store ' * len(value)}((as const {_sort(term)}) (_ bv0 {term.width})){cells}"


class _Text:
    """How a term is written: ``face`` where it is used; ``lines`` declare it, after what they ``need``. ``looks`` are the
    variables and reads that stand in it."""

    __slots__ = ("bool", "face", "lines", "looks", "need")

    def __init__(self, face: str, is_bool: bool, lines: str, need: tuple[_Text, ...], looks: tuple[Term, ...] = ()):
        self.face, self.bool, self.lines, self.need, self.looks = face, is_bool, lines, need, looks

    @property
    def bits(self) -> str:
        return _CONSTANT.get(self.face) or f"(ite {self.face} #b1 #b0)" if self.bool else self.face

    @property
    def truth(self) -> str:
        return self.face if self.bool else f"(= {self.face} #b1)"


class Writer:
    """Writes obligations over the terms of one table."""

    def __init__(self) -> None:
        self._texts: dict[Term, _Text] = {}
        self._functions: dict[str, _Text] = {}

    def text(self, asserted: list[Term], also: list[Term] | None = None,
             given: Mapping[Term, int | dict[int, int]] | None = None) -> tuple[str, list[Term]]:
        """The obligation that all of ``asserted`` hold, without check-sat; and the variables and reads it is about. ``also`` are
        terms whose values will be asked for though nothing may be asserted of them. ``given`` are variables and memories that are
        not unknown: the number, and the cells that are not zero."""
        written = [self._of(term) for term in asserted]
        used = _used([*written, *map(self._of, also or ())])
        known = {self._of(term): f"(define-fun {symbol(term.data)} () {_sort(term)} {_constant(term, value)})"
                 for term, value in (given or {}).items()}
        lines = [known.get(text, text.lines) for text in used if text.lines]
        lines += [f"(assert {text.truth})" for text in written]
        return "\n".join(lines) + "\n", list(dict.fromkeys(term for text in used for term in text.looks))

    def value(self, term: Term) -> str:
        """How to ask for a term's value once an obligation with all of its variables has been found satisfiable."""
        return self._of(term).bits

    def _of(self, root: Term) -> _Text:
        # What is below a term is written first, without recursion.
        texts = self._texts
        found = texts.get(root)
        if found is not None:
            return found
        stack = [root]
        while stack:
            term = stack[-1]
            if term in texts:
                stack.pop()
                continue
            missing = [arg for arg in term.args if arg not in texts]
            if missing:
                stack += missing
            else:
                texts[term] = self._written(term)
                stack.pop()
        return texts[root]

    def _written(self, term: Term) -> _Text:
        args = [self._texts[arg] for arg in term.args]
        if term.op in ("var", "memory"):
            name = symbol(term.data)
            return _Text(name, False, f"(declare-const {name} {_sort(term)})", (), (term,) if term.op == "var" else ())
        if term.op == "const":
            if term.width == 1:
                return _Text("true" if term.data else "false", True, "", ())
            return _Text(f"(_ bv{term.data} {term.width})", False, "", ())
        is_bool = _logical(term)
        body = _truth(term, args) if is_bool else _bits(term, args)
        need: dict[_Text, None] = {}
        looks: dict[Term, None] = {term: None} if term.op == "select" else {}
        for arg in args:
            if arg.lines:
                need[arg] = None
            else:
                need.update(dict.fromkeys(arg.need))
                looks.update(dict.fromkeys(arg.looks))
        if term.op == "call":
            need[self._function(term)] = None
        if len(body) <= INLINE:
            return _Text(body, is_bool, "", tuple(need), tuple(looks))
        name = f"t{term.ident}"
        lines = f"(define-fun {name} () {'Bool' if is_bool else _sort(term)} {body})"
        return _Text(name, is_bool, lines, tuple(need), tuple(looks))

    def _function(self, term: Term) -> _Text:
        found = self._functions.get(term.data)
        if found is None:
            sorts = " ".join(_sort(arg) for arg in term.args)
            lines = f"(declare-fun {symbol('extern.' + term.data)} ({sorts}) {_sort(term)})"
            found = self._functions[term.data] = _Text("", False, lines, ())
        return found


def _used(texts: list[_Text]) -> list[_Text]:
    """``texts`` and all they rest on, each once and after what it needs itself."""
    done: dict[_Text, None] = {}
    stack = list(reversed(texts))
    while stack:
        text = stack[-1]
        missing = [needed for needed in text.need if needed not in done] if text not in done else []
        if missing:
            stack += reversed(missing)
        else:
            done[stack.pop()] = None
    return list(done)


def _truth(term: Term, args: list[_Text]) -> str:
    if term.op == "xor" and term.args[1].op == "const":
        return f"(not {args[0].truth})"
    if term.op in ("and", "or", "xor", "ite"):
        return f"({term.op} {' '.join([arg.truth for arg in args])})"
    if term.op == "same":
        return f"(= {args[0].bits} {args[1].bits})"
    return f"({OPERATORS[term.op].smt} {' '.join([arg.bits for arg in args])})"


def _bits(term: Term, args: list[_Text]) -> str:
    op = term.op
    if op == "ite":
        return f"(ite {args[0].truth} {args[1].bits} {args[2].bits})"
    if op == "concat":
        text = args[0].bits
        for part in args[1:]:
            text = f"(concat {text} {part.bits})"
        return text
    inner = " ".join([arg.bits for arg in args])
    if op == "extract":
        return f"((_ extract {term.data[0]} {term.data[1]}) {inner})"
    if op == "zext":
        return f"((_ zero_extend {term.data}) {inner})"
    if op == "sext":
        return f"((_ sign_extend {term.data}) {inner})"
    if op == "call":
        return f"({symbol('extern.' + term.data)} {inner})" if args else symbol("extern." + term.data)
    if op in ("select", "store"):
        return f"({op} {inner})"
    return f"({OPERATORS[op].smt} {inner})"


def _logical(term: Term) -> bool:
    """Whether a term is written as a Bool."""
    if term.width != 1 or term.address:
        return False
    if term.op in ("and", "or", "xor", "ite", "same"):
        return True
    row = OPERATORS.get(term.op)
    return row is not None and row.predicate
