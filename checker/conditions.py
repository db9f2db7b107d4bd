"""What a question asserts, taken apart. The solver would do that too, but as trees: exponential in shared terms."""

from __future__ import annotations

from checker.term import Term
from checker.terms import Terms


def conjuncts(terms: Terms, asserted: list[Term]) -> list[Term]:
    """Conditions that hold together exactly when all of ``asserted`` do, none of them a conjunction or true, each once."""
    found: dict[Term, None] = {}
    seen: set[tuple[Term, bool]] = set()
    waiting = [(term, True) for term in reversed(asserted)]
    while waiting:
        at = term, holds = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        if term.op == ("and" if holds else "or"):
            waiting += [(arg, holds) for arg in reversed(term.args)]
        elif term.op == "xor" and term.args[1] is terms.true:
            waiting.append((term.args[0], not holds))
        else:
            found[term if holds else terms.negate(term)] = None
    found.pop(terms.true, None)
    return list(found)
