"""How much work the bodies of a description ask for.

Every reading recurses into expressions and calls and runs or unrolls loops. That both stay within reason is settled
here, once for all of them. Parts are measured once, however often they are used: what is called twice by what is called
twice is exponential for a reading, not here.
"""

from __future__ import annotations

from collections.abc import Iterator

from isa_specs import core
from isa_specs.diagnostics import Diagnostic, Mistake, Mistakes, Span
from isa_specs.walk import translations

MAX_STEPS = 1 << 20
MAX_CONDITION = 1000
MAX_DEPTH = 200  # of expressions, branches and calls in one another

Item = core.Expr | core.Stmt | core.Function
Cost = tuple[int, int]  # steps, depth
_LEAF = (1, 1)
_LEAVES = frozenset((core.Const, core.Read, core.Local, core.Field, core.Undefined))


class Costs:
    """Measures bodies; what is too much goes to ``errors``, at the innermost statement or function."""

    def __init__(self, errors: Mistakes):
        self.errors = errors
        self.known: dict[int, Cost] = {}  # by id: all items live as long as the description

    def body(self, block: list[core.Stmt], span: Span) -> None:
        """Measure the body of an instruction."""
        for statement in block:
            self.measure(statement)
        self.settle(sum(self.known[id(s)][0] for s in block), 0, span)

    def condition(self, expr: core.Expr, span: Span) -> None:
        """Measure a condition that decides which instruction some bytes are."""
        self.measure(expr)
        if self.of(expr)[0] > MAX_CONDITION:
            self.errors.append(Diagnostic("SP311", f"a condition of more than {MAX_CONDITION} operations", span, "let fixed bytes decide"))
        self.settle(*self.of(expr), span)

    def expression(self, expr: core.Expr, span: Span) -> None:
        """Measure an expression that stands by itself."""
        self.measure(expr)
        self.settle(*self.of(expr), span)

    def of(self, item: Item) -> Cost:
        return self.known.get(id(item), _LEAF)

    def measure(self, root: Item) -> None:
        opened: set[int] = set()
        work = [root]
        while work:
            item = work[-1]
            key = id(item)
            if key in self.known:
                work.pop()
            elif key in opened:
                work.pop()
                opened.discard(key)
                self.known[key] = self.combined(item)
            else:
                opened.add(key)
                for part in parts(item):
                    if id(part) in opened:
                        assert isinstance(part, core.Function)
                        raise Mistake("SP306", f"'{part.name}' goes through itself", part.span,
                                      "let it read the storage below its translation")
                    if type(part) not in _LEAVES and id(part) not in self.known:
                        work.append(part)

    def combined(self, item: Item) -> Cost:
        """The cost of an item whose parts are known."""
        known, steps, depth = self.known, 1, 0
        for part in parts(item):
            cost = known.get(id(part), _LEAF)
            steps += cost[0]
            depth = max(depth, cost[1])
        depth += 1
        if isinstance(item, core.Expr):
            return steps + (item.width // 8 if isinstance(item, core.Load) else 0), depth
        if isinstance(item, core.Loop):
            steps *= item.last - item.first + 1
        elif isinstance(item, core.Store):
            steps += item.value.width // 8
        return self.settle(steps, depth, item.span)

    def settle(self, steps: int, depth: int, span: Span) -> Cost:
        """This cost, or, once it is reported as too much, none."""
        if steps > MAX_STEPS:
            shown = f"{steps} steps" if steps < 1 << 40 else f"2^{steps.bit_length() - 1} steps"
            self.errors.append(Diagnostic("SP311", f"this takes up to {shown}, at most {MAX_STEPS} are possible", span,
                                          "the rounds of loops and the work of all calls are counted"))
            return _LEAF
        if depth > MAX_DEPTH:
            self.errors.append(Diagnostic("SP311", f"expressions, branches and calls nest {depth} deep here, at most {MAX_DEPTH}",
                                          span, "name parts of the expression with 'let', or decide on some bits first"))
            return _LEAF
        return steps, depth


def parts(item: Item) -> Iterator[Item]:
    """What carrying out ``item`` carries out directly."""
    if isinstance(item, core.Expr):
        yield from core.operands(item)
        if isinstance(item, core.CallFunction):
            yield item.function
        elif isinstance(item, core.Load):
            yield from translations(item.space)
        return
    match item:
        case core.Function():
            yield from item.body
        case core.SetLocal() | core.Write() | core.Execute():
            yield item.value
        case core.WriteElement():
            yield from (item.index, item.value)
        case core.Store():
            yield from (item.address, item.value)
            yield from translations(item.space)
        case core.If():
            yield item.condition
            yield from item.then
            yield from item.other
        case core.Loop():
            if item.condition is not None:
                yield item.condition
            yield from item.body
        case core.Raise():
            yield from item.args
        case core.Call():
            yield from item.args
            yield item.function
        case core.Return():
            if item.value is not None:
                yield item.value
        case core.Mark():
            yield item.condition
