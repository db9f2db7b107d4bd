"""What is known on a path: so that branches it has decided are not run again."""

from __future__ import annotations

from checker.term import Term


class Facts:
    """Conditions known to hold on the path being run: literals, and values a term can still have."""

    def __init__(self, learned: tuple[Facts, Term, bool] | None = None):
        self.literals: dict[int, bool] = {}
        self.domains: dict[int, frozenset[int]] = {}
        self._learned = learned  # what was known before, and a condition that holds, or does not

    def decide(self, condition: Term) -> bool | None:
        """Whether ``condition`` follows, or its negation, or neither is plain to see."""
        if condition.op == "const":
            return bool(condition.data)
        self._learn()
        known = self.literals.get(condition.ident)
        if known is not None:
            return known
        if condition.op == "xor" and condition.args[1].op == "const":
            inner = self.decide(condition.args[0])
            return None if inner is None else not inner
        if condition.op == "eq" and condition.args[1].op == "const":
            domain = self.domains.get(condition.args[0].ident)
            if domain is not None:
                value = condition.args[1].data
                return False if value not in domain else True if len(domain) == 1 else None
        if condition.op in ("and", "or"):
            sides = [self.decide(arg) for arg in condition.args]
            decisive = condition.op == "or"
            if decisive in sides:
                return decisive
            if None not in sides:
                return not decisive
        return None

    def with_(self, condition: Term, holds: bool) -> Facts:
        """These facts and one more."""
        return Facts((self, condition, holds))

    def _learn(self) -> None:
        # Not before it is asked: most paths end with the trap that is all there is on them.
        if self._learned is not None:
            before, condition, holds = self._learned
            before._learn()
            self.literals, self.domains, self._learned = dict(before.literals), dict(before.domains), None
            self._add(condition, holds)

    def _add(self, condition: Term, holds: bool) -> None:
        self.literals[condition.ident] = holds
        if condition.op == "xor" and condition.args[1].op == "const":
            self._add(condition.args[0], not holds)
        elif condition.op == ("and" if holds else "or"):
            for arg in condition.args:
                self._add(arg, holds)
        elif condition.op == ("or" if holds else "and") and (open_ := self._only_open(condition, holds)) is not None:
            self._add(open_, holds)
        elif condition.op == "eq" and condition.args[1].op == "const":
            term, value = condition.args[0].ident, condition.args[1].data
            if holds:
                self.domains[term] = frozenset((value,))
            elif term in self.domains:
                self.domains[term] -= {value}
        elif condition.op == "or" and holds:
            options = _options(condition)
            if options is not None:
                self.domains[options[0]] = self.domains.get(options[0], options[1]) & options[1]


    def _only_open(self, condition: Term, holds: bool) -> Term | None:
        """Of two conditions one of which makes the whole so, the one that does, if the other is known not to."""
        a, b = condition.args
        first, second = self.decide(a), self.decide(b)
        if first is (not holds) and second is None:
            return b
        return a if second is (not holds) and first is None else None


def _options(condition: Term) -> tuple[int, frozenset[int]] | None:
    """``x == 1 or x == 2 ...`` as (x, {1, 2, ...})."""
    if condition.op == "eq" and condition.args[1].op == "const":
        return condition.args[0].ident, frozenset((condition.args[1].data,))
    if condition.op == "or":
        a, b = _options(condition.args[0]), _options(condition.args[1])
        if a is not None and b is not None and a[0] == b[0]:
            return a[0], a[1] | b[1]
    return None
