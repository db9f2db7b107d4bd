"""Whether conditions hold in a model, looking at no more than it takes.

To try a model costs a hundredth of asking a solver for one. What holds in a model is satisfiable whoever found the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from checker.models import Model, rule_of
from checker.term import Term
from isa_specs.ops import OPERATORS

NONE = "\0"  # begins no name
LEAVES = "var", "memory"

PLAIN = {name: row.plain for name, row in OPERATORS.items()}


class Trial:
    """Tries conditions in models that differ only in variables and memories whose names begin with ``varied``.

    No more is looked at than it takes, and what does not depend on these once only; an :class:`Evaluator` looks at everything."""

    def __init__(self, varied: str = NONE):
        self.varied = varied
        self._known: dict[Term, Any] = {}
        self._loose: set[Term] = set()  # of what is known, what depends on the varied

    def holds(self, asserted: list[Term], model: Model) -> bool:
        """Whether all conditions are true in the model."""
        return next(self.failing(asserted, model), None) is None

    def failing(self, asserted: list[Term], model: Model) -> Iterator[Term]:
        """The conditions that are not true in the model."""
        self.forget()
        for term in asserted:
            try:
                found = self.value(term, model)
            except RecursionError:  # too deep a term to try
                found = False
            if not found:
                yield term

    def forget(self) -> None:
        """Another model is tried."""
        for term in self._loose:
            self._known.pop(term, None)
        self._loose.clear()

    def value(self, term: Term, model: Model) -> Any:
        """The value of a term; recursive, for there are millions of them."""
        known = self._known
        found = known.get(term)
        if found is not None:
            return found
        op, args = term.op, term.args
        plain = PLAIN.get(op)
        if plain is not None and len(args) == 2:
            a, b = args
            left = known.get(a)
            if left is None:
                left = self.value(a, model)
            if (op == "and" and not left) or (op == "or" and left == (1 << term.width) - 1):
                args, found = (a,), left
            else:
                right = known.get(b)
                found = plain(a.width, left, self.value(b, model) if right is None else right) & ((1 << term.width) - 1)
        elif op == "ite":
            condition, then, other = args
            taken = known.get(condition)
            taken = then if (self.value(condition, model) if taken is None else taken) else other
            args, found = (condition, taken), self.value(taken, model)
        elif op == "const":
            found = term.data
        else:
            found = rule_of(term)(model, term, [self.value(arg, model) for arg in args])
        known[term] = found
        if not self._loose.isdisjoint(args) or (op in LEAVES and term.data.startswith(self.varied)):
            self._loose.add(term)
        return found


Candidates = tuple[Trial, Iterable[Model]]
"""Models to try, and what they are tried by."""


def holds(asserted: list[Term], model: Model) -> bool:
    """Whether all of ``asserted`` are true in a model."""
    return Trial().holds(asserted, model)
