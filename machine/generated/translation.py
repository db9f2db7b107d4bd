"""One function of the generated Python text as LLVM's: every value is an i64.

The text is restricted to what this module reads: functions of integers, assignments to names, if, while, for over a
range, calls, and the primitives. No other meaning is given to it than the one Numba gives it too.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from machine.generated.blocks import Blocks, Target, Untranslatable
from machine.generated.prelude import SHIFTS

_BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor",
           ast.LShift: "shl", ast.RShift: "ashr"}  # fmt: skip
_COMPARE = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "slt", ast.LtE: "sle", ast.Gt: "sgt", ast.GtE: "sge"}
_UNSIGNED = {"ULT": "ult", "ULE": "ule"}

# name -> (bits of the access, what may alias with it). The record and the spaces never overlap.
LOADS = {"LD": (64, "record"), "LOAD1": (8, "space"), "LOAD2": (16, "space"), "LOAD4": (32, "space"), "LOAD8": (64, "space"),
         "BYTE": (8, "map"), "LINK": (64, "link")}  # fmt: skip
STORES = {"ST": (64, "record"), "STORE1": (8, "space"), "STORE2": (16, "space"), "STORE4": (32, "space"), "STORE8": (64, "space"),
          "SET_BYTE": (8, "map"), "SET_LINK": (64, "link")}  # fmt: skip
SWAPS = {"SWAP2": 16, "SWAP4": 32, "SWAP8": 64}
_ALIAS = {"record": "!3", "space": "!4", "map": "!5", "link": "!8"}
_ALIGNED = ("record", "link")
_CALLED = {"MOVE", "UDIV", "UREM", "SDIV", "SREM", *SHIFTS}

_INLINE = {"inline": "alwaysinline ", "outline": "noinline ", "cold": "noinline cold "}


@dataclass(slots=True, frozen=True)
class Definition:
    """A translated function. ``kept``: under its name, for other code to call. ``called`` are the functions it calls, ``given`` those
    it gives a number."""

    name: str
    parameters: tuple[str, ...]
    inlining: str
    kept: bool
    body: str
    lines: int
    called: frozenset[str]
    given: frozenset[str]

    def text(self, *, kept: bool) -> str:
        params = ", ".join(f"i64 %p_{name}" for name in self.parameters)
        return f"define {'' if kept else 'internal '}i64 @{self.name}({params}) nounwind {self.inlining}{{\n{self.body}\n}}"

    @property
    def declaration(self) -> str:
        return f"declare i64 @{self.name}({', '.join('i64' for _ in self.parameters)}) nounwind"


@dataclass(slots=True, frozen=True)
class Scope:
    """What a function may name: constants, functions of the same module, and others by their addresses."""

    constants: Mapping[str, int]
    functions: frozenset[str]
    outside: Mapping[str, int]


def translated(node: ast.FunctionDef, scope: Scope) -> Definition:
    """The function ``node``. Raises :class:`Untranslatable`."""
    return _Function(node, scope).definition()


class _Function:
    def __init__(self, node: ast.FunctionDef, scope: Scope):
        self.node, self.scope = node, scope
        self.parameters = tuple(arg.arg for arg in node.args.args)
        self.blocks = Blocks({name: f"%p_{name}" for name in self.parameters})
        self.value, self.emit = self.blocks.value, self.blocks.emit
        self.loops: list[tuple[Target, Target]] = []
        self.called: set[str] = set()
        self.given: set[str] = set()

    def definition(self) -> Definition:
        if "s" in self.parameters:
            self.emit("%sp = inttoptr i64 %p_s to ptr")
        self.block(self.node.body)
        self.blocks.leave("ret i64 0")
        decorations = {d.id for d in self.node.decorator_list if isinstance(d, ast.Name)}
        inlining = "".join(_INLINE[name] for name in sorted(decorations & _INLINE.keys()))
        kept, lines = bool(decorations & {"exported", "outline", "cold"}), self.blocks.lines()
        return Definition(self.node.name, self.parameters, inlining, kept, "\n".join(lines), len(lines), frozenset(self.called),
                          frozenset(self.given))

    # ---- statements ------------------------------------------------------------------

    def block(self, body: Iterable[ast.stmt]) -> None:
        for s in body:
            if not self.blocks.open:
                return
            self.statement(s)

    def statement(self, s: ast.stmt) -> None:
        match s:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.blocks.names[name] = self.expr(value)
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                old = self.blocks.read(name)
                self.blocks.names[name] = self.value(f"{_BINARY[type(op)]} i64 {old}, {self.expr(value)}")
            case ast.Expr(value=ast.Call() as call):
                self.expr(call)
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case ast.Return(value=value):
                self.blocks.leave(f"ret i64 {self.expr(value) if value is not None else 0}")
            case ast.If():
                self.if_(s)
            case ast.While(test=test, body=body):
                self.loop(lambda: self.cond(test), body, None, _assigned(body))
            case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=[first, end]), body=body):
                self.for_(name, first, end, body)
            case ast.Break():
                self.blocks.jump(self.loops[-1][1])
            case ast.Continue():
                self.blocks.jump(self.loops[-1][0])
            case _:
                raise Untranslatable(ast.unparse(s))

    def if_(self, s: ast.If) -> None:
        arms = _switch(s)
        if arms is not None:
            return self.switch(*arms)
        then, other, end = (self.blocks.target() for _ in range(3))
        self.blocks.branch(self.cond(s.test), then, other)
        self.arms([(then, s.body), (other, s.orelse)], end)
        return None

    def switch(self, name: str, arms: list[tuple[int, list[ast.stmt]]], other: list[ast.stmt]) -> None:
        tested = self.blocks.read(name)
        targets, default, end = [self.blocks.target() for _ in arms], self.blocks.target(), self.blocks.target()
        self.blocks.switch(tested, [(value, target) for (value, _), target in zip(arms, targets, strict=True)], default)
        self.arms([*zip(targets, (body for _, body in arms), strict=True), (default, other)], end)

    def arms(self, arms: Iterable[tuple[Target, list[ast.stmt]]], end: Target) -> None:
        for target, body in arms:
            self.blocks.start(target)
            self.block(body)
            if self.blocks.open:
                self.blocks.jump(end)
        self.blocks.start(end)

    def loop(self, test: Callable[[], str], body: list[ast.stmt], step: Callable[[], None] | None, changed: set[str]) -> None:
        inside, onward, end = (self.blocks.target() for _ in range(3))
        head = self.blocks.loop(changed)
        self.blocks.branch(test(), inside, end)
        self.blocks.start(inside)
        self.loops.append((onward, end))
        self.block(body)
        self.loops.pop()
        self.blocks.start(onward)
        if step is not None and self.blocks.open:
            step()
        self.blocks.again(head)
        self.blocks.start(end)

    def for_(self, name: str, first: ast.expr, end: ast.expr, body: list[ast.stmt]) -> None:
        # Python's loop keeps its own count: the name only shows it.
        names = self.blocks.names
        count = f"{name}.{len(self.loops)}"
        limit = self.expr(end)
        names[count] = self.expr(first)

        def test() -> str:
            now = self.blocks.read(count)
            inside = self.value(f"icmp slt i64 {now}, {limit}")
            self.blocks.names[name] = self.value(f"select i1 {inside}, i64 {now}, i64 {self.blocks.read(name)}")
            return inside

        def step() -> None:
            self.blocks.names[count] = self.value(f"add i64 {self.blocks.read(count)}, 1")

        self.loop(test, body, step, {name, count} | _assigned(body))

    # ---- expressions -----------------------------------------------------------------

    def expr(self, e: ast.expr) -> str:
        match e:
            case ast.Constant(value=int(value)):
                return str(value)
            case ast.Name(id=name):
                constant = self.scope.constants.get(name)
                return self.blocks.read(name) if constant is None else str(constant)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
                return str(-value)
            case ast.UnaryOp(op=ast.USub(), operand=arg):
                return self.value(f"sub i64 0, {self.expr(arg)}")
            case ast.UnaryOp(op=ast.Invert(), operand=arg):
                return self.value(f"xor i64 -1, {self.expr(arg)}")
            case ast.BinOp(left=left, op=op, right=right):
                a = self.expr(left)
                return self.value(f"{_BINARY[type(op)]} i64 {a}, {self.expr(right)}")
            case ast.IfExp(test=test, body=then, orelse=other):
                c, a = self.cond(test), self.expr(then)
                return self.value(f"select i1 {c}, i64 {a}, i64 {self.expr(other)}")
            case ast.Call(func=ast.Name(id=name), args=args):
                return self.call(name, args)
        raise Untranslatable(ast.unparse(e))

    def cond(self, e: ast.expr) -> str:
        match e:
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                a = self.expr(left)
                return self.value(f"icmp {_COMPARE[type(op)]} i64 {a}, {self.expr(right)}")
            case ast.BoolOp(op=op, values=values):
                word = "and" if isinstance(op, ast.And) else "or"
                tests = [self.cond(value) for value in values]  # all of them: the text has no effects here
                return functools.reduce(lambda a, b: self.value(f"{word} i1 {a}, {b}"), tests)
            case ast.UnaryOp(op=ast.Not(), operand=arg):
                return self.value(f"xor i1 true, {self.cond(arg)}")
            case ast.Call(func=ast.Name(id=name), args=[left, right]) if name in _UNSIGNED:
                a = self.expr(left)
                return self.value(f"icmp {_UNSIGNED[name]} i64 {a}, {self.expr(right)}")
        raise Untranslatable(ast.unparse(e))

    def call(self, name: str, args: list[ast.expr]) -> str:
        if name == "int":
            return self.value(f"zext i1 {self.cond(args[0])} to i64")
        if name in LOADS:
            bits, alias = LOADS[name]
            loaded = self.value(f"load i{bits}, ptr {self.pointer(args[0])}, align {8 if alias in _ALIGNED else 1}, !tbaa {_ALIAS[alias]}")
            return loaded if bits == 64 else self.value(f"zext i{bits} {loaded} to i64")
        if name in STORES:
            bits, alias = STORES[name]
            where, what = self.pointer(args[0]), self.expr(args[1])
            if bits < 64:
                what = self.value(f"trunc i64 {what} to i{bits}")
            self.emit(f"store i{bits} {what}, ptr {where}, align {8 if alias in _ALIGNED else 1}, !tbaa {_ALIAS[alias]}")
            return "0"
        if name == "COPY":
            to, where, words = self.pointer(args[0]), self.pointer(args[1]), self.expr(args[2])
            size = self.value(f"shl i64 {words}, 3")
            self.emit(f"call void @llvm.memcpy.p0.p0.i64(ptr align 8 {to}, ptr align 8 {where}, i64 {size}, i1 false)")
            return "0"
        if name == "PREFETCH":
            self.emit(f"call void @llvm.prefetch.p0(ptr {self.pointer(args[0])}, i32 0, i32 3, i32 1)")
            return "0"
        if name in SWAPS:
            bits = SWAPS[name]
            what = self.expr(args[0])
            if bits < 64:
                what = self.value(f"trunc i64 {what} to i{bits}")
            what = self.value(f"call i{bits} @llvm.bswap.i{bits}(i{bits} {what})")
            return what if bits == 64 else self.value(f"zext i{bits} {what} to i64")
        if name in SHIFTS:
            match args[1:]:
                case [ast.Constant(value=int(amount)), ast.Constant(value=int(width))] if 0 <= amount < width:
                    return self.value(f"{SHIFTS[name]} i64 {self.expr(args[0])}, {amount}")
        values = [self.expr(arg) for arg in args[name == "CALL" :]]
        given = ", ".join(f"i64 {value}" for value in values)
        if name == "CALL":
            return self.value(f"call i64 {self.value(f'inttoptr i64 {self.expr(args[0])} to ptr')}({given})")
        if name in self.scope.outside:
            return self.value(f"call i64 inttoptr (i64 {self.scope.outside[name]} to ptr)({given})")
        if name in self.scope.functions:
            self.called.add(name)
            if any(not value.startswith("%") for value in values):
                self.given.add(name)
        elif name not in _CALLED:
            raise Untranslatable(f"{name} is no function")
        return self.value(f"call i64 @{name}({given})")

    def pointer(self, e: ast.expr) -> str:
        # s + constants, or the row + constants: one address computed once, which shows LLVM that two of them differ.
        inner, rest = e, []
        while isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Add):
            rest.append(inner.right)
            inner = inner.left
        linked = isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id == "LINK"
        if linked or (isinstance(inner, ast.Name) and inner.id == "s"):
            where = self.value(f"inttoptr i64 {self.expr(inner)} to ptr") if linked else "%sp"
            for part in reversed(rest):
                where = self.value(f"getelementptr i8, ptr {where}, i64 {self.expr(part)}")
            return where
        return self.value(f"inttoptr i64 {self.expr(e)} to ptr")


def _switch(s: ast.If) -> tuple[str, list[tuple[int, list[ast.stmt]]], list[ast.stmt]] | None:
    """``if n == 1: ... elif n == 2: ...`` of at least four arms."""
    arms: list[tuple[int, list[ast.stmt]]] = []
    name, rest = "", [s]
    while len(rest) == 1 and isinstance(rest[0], ast.If):
        match rest[0].test:
            case ast.Compare(left=ast.Name(id=tested), ops=[ast.Eq()], comparators=[ast.Constant(value=int(value))]
                             ) if name in ("", tested):
                name = tested
                arms.append((value, rest[0].body))
                rest = rest[0].orelse  # type: ignore[assignment]
            case _:
                break
    if len(arms) < 4 or len({value for value, _ in arms}) < len(arms):
        return None
    return name, arms, list(rest)


def _assigned(body: Iterable[ast.stmt]) -> set[str]:
    """The names to which statements give values."""
    return {node.id for s in body for node in ast.walk(s) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
