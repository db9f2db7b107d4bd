"""Terms as SMT-LIB 2.6 text (logic QF_AUFBV).

Shared subterms become definitions. One-bit terms have two faces, Bool and bit vector; each is written only where needed.
"""

from __future__ import annotations

import re

from checker.terms import Term, walk
from isa_specs.ops import OPERATORS

LOGIC = "QF_AUFBV"


def symbol(name: str) -> str:
    """A variable's name as an SMT-LIB symbol."""
    return name if re.fullmatch(r"[A-Za-z_.$@!%&*<>=?^~+-][A-Za-z0-9_.$@!%&*<>=?^~+-]*", name) else f"|{name}|"


def _sort(term: Term) -> str:
    return f"(Array (_ BitVec {term.address}) (_ BitVec {term.width}))" if term.address else f"(_ BitVec {term.width})"


class Script:
    """Collects the declarations, definitions and assertions of one obligation."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._bits: dict[int, str] = {}
        self._bools: dict[int, str] = {}
        self._uses: dict[int, int] = {}

    def text(self, asserted: list[Term], wanted: list[Term]) -> tuple[str, list[str]]:
        """The obligation's text (without check-sat) and the names under which ``wanted`` can be asked for."""
        order = walk(asserted + wanted)
        functions: dict[str, str] = {}
        for term in order:
            for arg in term.args:
                self._uses[arg.ident] = self._uses.get(arg.ident, 0) + 1
            if term.op in ("var", "memory"):
                self.lines.append(f"(declare-const {symbol(term.data)} {_sort(term)})")
            elif term.op == "call" and term.data not in functions:
                sorts = " ".join(_sort(arg) for arg in term.args)
                functions[term.data] = ""
                self.lines.append(f"(declare-fun {symbol('extern.' + term.data)} ({sorts}) {_sort(term)})")
        # Definitions go bottom up, so nothing here recurses deeper than one unshared expression.
        for term in order:
            if self._uses.get(term.ident, 0) > 1 and term.args:
                self._share(term)
        for term in asserted:
            self.lines.append(f"(assert {self.bool(term)})")
        names = []
        for number, term in enumerate(wanted):
            name = f"want{number}"
            self.define(name, _sort(term), self.bits(term))
            names.append(name)
        return "\n".join(self.lines) + "\n", names

    def _share(self, term: Term) -> None:
        name = f"t{term.ident}"
        if _logical(term):
            self.define(name, "Bool", self._bool(term))
            self._bools[term.ident] = name
        else:
            self.define(name, _sort(term), self._bits_of(term))
            self._bits[term.ident] = name

    def define(self, name: str, sort: str, body: str) -> None:
        # Not define-fun: the solver expands those as macros while it reads, which is exponential on shared terms.
        self.lines.append(f"(declare-const {name} {sort})")
        self.lines.append(f"(assert (= {name} {body}))")

    def bits(self, term: Term) -> str:
        found = self._bits.get(term.ident)
        if found is None:
            found = f"(ite {self.bool(term)} #b1 #b0)" if _logical(term) else self._bits_of(term)
        return found

    def bool(self, term: Term) -> str:
        found = self._bools.get(term.ident)
        if found is None:
            if term.op == "const":
                return "true" if term.data else "false"
            found = self._bool(term) if _logical(term) else f"(= {self.bits(term)} #b1)"
        return found

    def _bool(self, term: Term) -> str:
        if term.op == "xor" and term.args[1].op == "const":
            return f"(not {self.bool(term.args[0])})"
        if term.op in ("and", "or", "xor"):
            return f"({term.op} {self.bool(term.args[0])} {self.bool(term.args[1])})"
        if term.op == "ite":
            return f"(ite {' '.join(self.bool(arg) for arg in term.args)})"
        if term.op == "same":
            return f"(= {self.bits(term.args[0])} {self.bits(term.args[1])})"
        return f"({OPERATORS[term.op].smt} {' '.join(self.bits(arg) for arg in term.args)})"

    def _bits_of(self, term: Term) -> str:
        op = term.op
        if op == "const":
            return f"(_ bv{term.data} {term.width})"
        if op in ("var", "memory"):
            return symbol(term.data)
        if op == "ite":
            return f"(ite {self.bool(term.args[0])} {self.bits(term.args[1])} {self.bits(term.args[2])})"
        args = " ".join(self.bits(arg) for arg in term.args)
        if op == "extract":
            return f"((_ extract {term.data[0]} {term.data[1]}) {args})"
        if op == "zext":
            return f"((_ zero_extend {term.data}) {args})"
        if op == "sext":
            return f"((_ sign_extend {term.data}) {args})"
        if op == "call":
            return f"({symbol('extern.' + term.data)} {args})" if args else symbol("extern." + term.data)
        if op == "concat":
            text = self.bits(term.args[0])
            for part in term.args[1:]:
                text = f"(concat {text} {self.bits(part)})"
            return text
        if op in ("select", "store"):
            return f"({op} {args})"
        return f"({OPERATORS[op].smt} {args})"


def _logical(term: Term) -> bool:
    """Whether a term is written as a Bool."""
    if term.width != 1 or term.address:
        return False
    if term.op in ("and", "or", "xor", "ite", "same"):
        return True
    row = OPERATORS.get(term.op)
    return row is not None and row.predicate
