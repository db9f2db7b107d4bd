"""Core form as Python functions: what each expression, statement and function does in a run.

Each is looked at once, when its function is made; a run only calls them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from isa_specs import core
from isa_specs.core import Expr, Function, Isa, Stmt
from isa_specs.ops import to_signed
from machine.errors import MachineError
from machine.outcomes import Executes

if TYPE_CHECKING:
    from machine.activation import Activation

Locals = dict[str, int]

Value = Callable[["Activation", Locals], int]
"""The unsigned value of an expression, its parts evaluated from left to right."""

Deed = Callable[["Activation", Locals], "int | None"]
"""What statements do. None: ran off the end; a number: returned it (0 from procedures)."""

Callee = Callable[["Activation", Sequence[int]], int]
"""The result of a function; 0 for a procedure."""


class ExecuteSignal(Exception):
    """Not an error: the way out of an instruction that has another one carried out."""

    def __init__(self, value: int, width: int):
        self.outcome = Executes(value, width)


@lru_cache(maxsize=16)
def code(isa: Isa) -> Code:
    """The functions of a finished description."""
    return Code(isa)


class Code:
    """The functions of one description, made when first asked for."""

    def __init__(self, isa: Isa):
        self.isa = isa
        self._values: dict[Expr, Value] = {}
        self._functions: dict[Function, Callee] = {}
        self._bodies: dict[int, tuple[list[Stmt], Deed]] = {}

    def value(self, e: Expr) -> Value:
        """An expression by itself."""
        if e not in self._values:
            self._values[e] = self._value(e)
        return self._values[e]

    def body(self, statements: list[Stmt]) -> Deed:
        """The body of a form."""
        found = self._bodies.get(id(statements))
        if found is None:  # kept together, so that the list stays what it is
            found = self._bodies[id(statements)] = statements, self._block(statements)
        return found[1]

    def function(self, function: Function) -> Callee:
        if function not in self._functions:
            self._functions[function] = self._function(function)
        return self._functions[function]

    def _function(self, function: Function) -> Callee:
        names, body = [name for name, _ in function.params], self._block(function.body)

        def call(run: Activation, args: Sequence[int]) -> int:
            result = body(run, dict(zip(names, args, strict=True)))
            if result is None and function.result is not None:
                raise MachineError(f"function '{function.name}' ended without a result")
            return result or 0

        return call

    # ---- statements ----------------------------------------------------------------

    def _block(self, statements: list[Stmt]) -> Deed:
        deeds = tuple(self._statement(statement) for statement in statements)

        def block(run: Activation, env: Locals) -> int | None:
            for deed in deeds:
                returned = deed(run, env)
                if returned is not None:
                    return returned
            return None

        return deeds[0] if len(deeds) == 1 else block

    def _statement(self, s: Stmt) -> Deed:
        match s:
            case core.SetLocal():
                return self._set(s.name, self._value(s.value))
            case core.Write():
                return self._write(s)
            case core.WriteElement():
                return self._write_element(s)
            case core.Store():
                return self._store(s)
            case core.If():
                return self._if(s)
            case core.Loop():
                return self._loop(s)
            case core.Raise():
                trap, given = s.trap, self._all(s.args)
                return lambda run, env: run.trap(trap, tuple(given(run, env)))
            case core.Call():
                return self._call(s)
            case core.Return():
                return (lambda run, env: 0) if s.value is None else self._value(s.value)
            case core.Execute():
                return self._execute(s)
            case core.Mark():
                return lambda run, env: None  # regions label states for the checker; they do nothing
        raise MachineError(f"not a statement: {type(s).__name__}")

    @staticmethod
    def _set(name: str, value: Value) -> Deed:
        def deed(run: Activation, env: Locals) -> None:
            env[name] = value(run, env)

        return deed

    def _write(self, s: core.Write) -> Deed:
        place, value, jumps = (s.cell.name, 0), self._value(s.value), s.cell is self.isa.counter

        def deed(run: Activation, env: Locals) -> None:
            run.write(place, value(run, env))
            run.jumped |= jumps

        return deed

    def _write_element(self, s: core.WriteElement) -> Deed:
        name, index, value = s.array.name, self._value(s.index), self._value(s.value)

        def deed(run: Activation, env: Locals) -> None:
            at = index(run, env)
            run.write((name, at), value(run, env))

        return deed

    def _store(self, s: core.Store) -> Deed:
        space, address, value, width = s.space, self._value(s.address), self._value(s.value), s.value.width

        def deed(run: Activation, env: Locals) -> None:
            at = address(run, env)
            run.store(space, at, width, value(run, env))

        return deed

    def _if(self, s: core.If) -> Deed:
        condition, then, other = self._value(s.condition), self._block(s.then), self._block(s.other)
        return lambda run, env: then(run, env) if condition(run, env) else other(run, env)

    def _loop(self, s: core.Loop) -> Deed:
        name, rounds, body = s.local, range(s.first, s.last + 1), self._block(s.body)
        condition: Value = (lambda run, env: 1) if s.condition is None else self._value(s.condition)

        def deed(run: Activation, env: Locals) -> int | None:
            for i in rounds:
                env[name] = i
                if not condition(run, env):
                    break
                returned = body(run, env)
                if returned is not None:
                    return returned
            return None

        return deed

    def _call(self, s: core.Call) -> Deed:
        callee, passed = self.function(s.function), self._all(s.args)

        def deed(run: Activation, env: Locals) -> None:
            callee(run, passed(run, env))

        return deed

    def _execute(self, s: core.Execute) -> Deed:
        value, width = self._value(s.value), s.value.width

        def deed(run: Activation, env: Locals) -> None:
            raise ExecuteSignal(value(run, env), width)

        return deed

    # ---- expressions ---------------------------------------------------------------

    def _all(self, args: Sequence[Expr]) -> Callable[[Activation, Locals], list[int]]:
        values = [self._value(arg) for arg in args]
        return lambda run, env: [value(run, env) for value in values]

    def _value(self, e: Expr) -> Value:
        mask = (1 << e.width) - 1
        match e:
            case core.Const(value=number):
                return lambda run, env: number
            case core.Local(name=name):
                return lambda run, env: env[name]
            case core.Field(name=name):
                return lambda run, env: run.field(name)
            case core.Read(cell=cell):
                place = cell.name, 0
                return lambda run, env: run.read(place)
            case core.ReadElement(array=array):
                element, index = array.name, self._value(e.index)
                return lambda run, env: run.read((element, index(run, env)))
            case core.Load(space=space, width=width):
                address = self._value(e.address)
                return lambda run, env: run.load(space, address(run, env), width)
            case core.Apply():
                return self._apply(e)
            case core.Extract(low=low):
                whole = self._value(e.arg)
                return lambda run, env: whole(run, env) >> low & mask
            case core.Extend(signed=signed):
                narrow, bits = self._value(e.arg), e.arg.width
                return (lambda run, env: to_signed(narrow(run, env), bits) & mask) if signed else narrow
            case core.Concat():
                return self._concat(e)
            case core.Choice():
                condition, then, other = self._value(e.condition), self._value(e.then), self._value(e.other)
                return lambda run, env: then(run, env) if condition(run, env) else other(run, env)
            case core.CallFunction():
                callee, passed = self.function(e.function), self._all(e.args)
                return lambda run, env: callee(run, passed(run, env))
            case core.CallExtern(name=extern):
                given = self._all(e.args)
                return lambda run, env: run.extern(extern, given(run, env)) & mask
            case core.Undefined(width=width):
                return lambda run, env: run.oracle(width) & mask
        raise MachineError(f"not an expression: {type(e).__name__}")

    def _apply(self, e: core.Apply) -> Value:
        plain, width, mask = e.op.plain, e.args[0].width, (1 << e.width) - 1
        args = [self._value(arg) for arg in e.args]
        if len(args) == 1:
            only, = args
            return lambda run, env: plain(width, only(run, env)) & mask
        left, right = args
        return lambda run, env: plain(width, left(run, env), right(run, env)) & mask

    def _concat(self, e: core.Concat) -> Value:
        pieces = [(self._value(part), part.width) for part in e.parts]

        def joined(run: Activation, env: Locals) -> int:
            number = 0
            for piece, width in pieces:
                number = number << width | piece(run, env)
            return number

        return joined
