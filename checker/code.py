"""Core form as Python functions over terms: what each expression, statement and function does in a symbolic run.

Each is looked at once, when its function is made; a run only calls them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from checker.regions import marks
from checker.term import Term
from checker.terms import Terms
from isa_specs import core
from isa_specs.core import Expr, Function, Stmt
from isa_specs.walk import statements, subexpressions

if TYPE_CHECKING:
    from checker.execution import Run

Locals = dict[str, Term]

Value = Callable[["Run", Locals], Term]
"""The term of an expression, its parts evaluated from left to right."""

Deed = Callable[["Run", Locals], Any]
"""What statements do. None: ran off the end; a term: returned it; RETURNED from procedures; ENDED where every path traps or executes."""

RETURNED, ENDED = object(), object()


class Code:
    """The functions of one description over the terms of one table, made when first asked for."""

    def __init__(self, terms: Terms):
        self.terms = terms
        self._values: dict[Expr, Value] = {}
        self._bodies: dict[int, tuple[Sequence[Stmt], Deed]] = {}

    def value(self, e: Expr) -> Value:
        """An expression by itself."""
        if e not in self._values:
            self._values[e] = self._value(e)
        return self._values[e]

    def body(self, body: Sequence[Stmt]) -> Deed:
        """The body of a form or of a function."""
        found = self._bodies.get(id(body))
        if found is None:  # kept together, so that the list stays what it is
            found = self._bodies[id(body)] = body, self._block(body)
        return found[1]

    # ---- statements ----------------------------------------------------------------

    def _block(self, body: Sequence[Stmt]) -> Deed:
        deeds = tuple([_STATEMENTS[type(statement)](self, statement) for statement in body])

        def block(run: Run, env: Locals) -> Any:
            for deed in deeds:
                result = deed(run, env)
                if result is not None:
                    return result
            return None

        return deeds[0] if len(deeds) == 1 else block

    def _set_local(self, s: core.SetLocal) -> Deed:
        name, value = s.name, self._value(s.value)

        def deed(run: Run, env: Locals) -> None:
            env[name] = value(run, env)

        return deed

    def _write(self, s: core.Write) -> Deed:
        name, value = s.cell.name, self._value(s.value)
        return lambda run, env: run.write(name, value(run, env))

    def _write_element(self, s: core.WriteElement) -> Deed:
        name, index, value = s.array.name, self._value(s.index), self._value(s.value)
        return lambda run, env: run.write_element(name, index(run, env), value(run, env))

    def _store(self, s: core.Store) -> Deed:
        space, address, value = s.space, self._value(s.address), self._value(s.value)
        return lambda run, env: run.write_space(space, address(run, env), value(run, env))

    def _if(self, s: core.If) -> Deed:
        condition, then, other, assigned = self._value(s.condition), self._block(s.then), self._block(s.other), _assigned([s])
        sides = {mark: holds for holds, side in ((True, s.then), (False, s.other)) for mark in marks(side)}
        if not sides:
            return lambda run, env: run.branch(condition(run, env), then, other, env, assigned)

        def deed(run: Run, env: Locals) -> Any:
            path, asked = run.path, condition(run, env)
            if run.goal in sides:
                run.approach(s, asked, sides[run.goal])
            result = run.branch(asked, then, other, env, assigned)
            run.path = path
            return result

        return deed

    def _loop(self, s: core.Loop) -> Deed:
        rounds = [(i, self.terms.const(s.width, i)) for i in range(s.first, s.last + 1)]
        condition: Value = (lambda run, env: run.terms.true) if s.condition is None else self._value(s.condition)
        name, body, assigned = s.local, self._block(s.body), _assigned(s.body)
        return lambda run, env: run.loop(name, rounds, condition, body, env, assigned)

    def _raise(self, s: core.Raise) -> Deed:
        trap, args = s.trap, self._all(s.args)
        return lambda run, env: run.trap(trap, tuple(args(run, env)))

    def _call(self, s: core.Call) -> Deed:
        call = self._callee(s, s.function, s.args)
        return lambda run, env: ENDED if call(run, env) is ENDED else None

    def _return(self, s: core.Return) -> Deed:
        return (lambda run, env: RETURNED) if s.value is None else self._value(s.value)

    def _execute(self, s: core.Execute) -> Deed:
        value = self._value(s.value)
        return lambda run, env: run.execute(value(run, env))

    def _mark(self, s: core.Mark) -> Deed:
        label, condition = s.label, self._value(s.condition)
        return lambda run, env: run.mark(label, condition(run, env))

    # ---- expressions ---------------------------------------------------------------

    def _value(self, e: Expr) -> Value:
        return _EXPRESSIONS[type(e)](self, e)

    def _all(self, args: Sequence[Expr]) -> Callable[[Run, Locals], list[Term]]:
        values = [self._value(arg) for arg in args]
        return lambda run, env: [value(run, env) for value in values]

    def _const(self, e: core.Const) -> Value:
        constant = self.terms.const(e.width, e.value)
        return lambda run, env: constant

    def _local(self, e: core.Local) -> Value:
        name = e.name
        return lambda run, env: env[name]

    def _field(self, e: core.Field) -> Value:
        name = e.name
        return lambda run, env: run.fields[name]

    def _read(self, e: core.Read) -> Value:
        name = e.cell.name
        return lambda run, env: run.get(name)

    def _read_element(self, e: core.ReadElement) -> Value:
        select, name, index = self.terms.select, e.array.name, self._value(e.index)
        return lambda run, env: select(run.get(name), index(run, env))

    def _load(self, e: core.Load) -> Value:
        space, address, width = e.space, self._value(e.address), e.width
        return lambda run, env: run.read_space(space, address(run, env), width)

    def _apply(self, e: core.Apply) -> Value:
        built, args = self.terms.operations[e.op.name], [self._value(arg) for arg in e.args]
        if len(args) == 1:
            only, = args
            return lambda run, env: built[only(run, env),]
        left, right = args
        return lambda run, env: built[left(run, env), right(run, env)]

    def _extract(self, e: core.Extract) -> Value:
        extract, value, high, low = self.terms.extract, self._value(e.arg), e.high, e.low
        return lambda run, env: extract(value(run, env), high, low)

    def _extend(self, e: core.Extend) -> Value:
        extend, value, width, signed = self.terms.extend, self._value(e.arg), e.width, e.signed
        return lambda run, env: extend(value(run, env), width, signed)

    def _concat(self, e: core.Concat) -> Value:
        concat, parts = self.terms.concat, self._all(e.parts)
        return lambda run, env: concat(parts(run, env))

    def _choice(self, e: core.Choice) -> Value:
        condition, then, other = self._value(e.condition), self._value(e.then), self._value(e.other)
        if any(isinstance(part, core.Choice | core.CallFunction) for side in (e.then, e.other) for part in subexpressions(side)):
            return lambda run, env: run.branch(condition(run, env), then, other, env)

        def either(run: Run, env: Locals) -> Term:
            """What is known on a path makes no difference to either side, and neither side to the path."""
            asked = condition(run, env)
            decided = run.facts.decide(asked)
            return run.terms.ite(asked, then(run, env), other(run, env)) if decided is None else (then if decided else other)(run, env)

        return either

    def _call_function(self, e: core.CallFunction) -> Value:
        call, nothing = self._callee(e, e.function, e.args), self.terms.const(e.width, 0)  # where every path traps

        def result(run: Run, env: Locals) -> Term:
            found = call(run, env)
            return found if isinstance(found, Term) else nothing

        return result

    def _call_extern(self, e: core.CallExtern) -> Value:
        call, name, args, width = self.terms.call, e.name, self._all(e.args), e.width
        return lambda run, env: call(name, tuple(args(run, env)), width)

    def _undefined(self, e: core.Undefined) -> Value:
        place, width = id(e), e.width
        return lambda run, env: run.undefined(place, width)

    def _callee(self, site: object, function: Function, args: Sequence[Expr]) -> Deed:
        """A call of a function, with what its body comes to. ``site`` tells apart what it leaves undefined here and elsewhere."""
        names, given, body, place = [name for name, _ in function.params], self._all(args), self.body(function.body), id(site)
        declared = function.span

        def call(run: Run, env: Locals) -> Any:
            inner = dict(zip(names, given(run, env), strict=True))
            if len(run.trail) == 1:
                run.step.given.update([((declared, name), term) for name, term in inner.items()])
            run.trail.append(place)
            result = body(run, inner)
            run.trail.pop()
            return result

        return call


def _assigned(body: Sequence[Stmt]) -> tuple[str, ...]:
    """The locals that statements assign, whether they are new ones or not."""
    found = [s.name if isinstance(s, core.SetLocal) else s.local for s in statements(body) if isinstance(s, core.SetLocal | core.Loop)]
    return tuple(dict.fromkeys(found))


_STATEMENTS: dict[type[Stmt], Callable[[Code, Any], Deed]] = {
    core.SetLocal: Code._set_local,
    core.Write: Code._write,
    core.WriteElement: Code._write_element,
    core.Store: Code._store,
    core.If: Code._if,
    core.Loop: Code._loop,
    core.Raise: Code._raise,
    core.Call: Code._call,
    core.Return: Code._return,
    core.Execute: Code._execute,
    core.Mark: Code._mark,
}

_EXPRESSIONS: dict[type[Expr], Callable[[Code, Any], Value]] = {
    core.Const: Code._const,
    core.Local: Code._local,
    core.Field: Code._field,
    core.Read: Code._read,
    core.ReadElement: Code._read_element,
    core.Load: Code._load,
    core.Apply: Code._apply,
    core.Extract: Code._extract,
    core.Extend: Code._extend,
    core.Concat: Code._concat,
    core.Choice: Code._choice,
    core.CallFunction: Code._call_function,
    core.CallExtern: Code._call_extern,
    core.Undefined: Code._undefined,
}
