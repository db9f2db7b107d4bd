"""The generated Python text, translated as it stands to LLVM: every value is an i64.

The text is restricted to what this module reads: functions of integers, assignments to names, if, while, for over a
range, calls, and the primitives. No other meaning is given to it than the one Numba gives it too.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Mapping

from machine.errors import MachineError

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
_CALLED = ("MOVE", "UDIV", "UREM", "SDIV", "SREM", "SHL", "LSHR", "ASHR")

_INLINE = {"inline": "alwaysinline ", "outline": "noinline ", "cold": "noinline cold "}


class Untranslatable(MachineError):
    """The generator wrote something outside the subset: a fault of the generator."""


class _Function:
    """One function; every variable is a stack slot, which LLVM's first pass makes a register of."""

    def __init__(self, node: ast.FunctionDef, module: Module):
        self.node, self.module = node, module
        self.lines: list[str] = []
        self.slots: dict[str, str] = {}
        self.count = 0
        self.done = False  # the current block has ended
        self.loops: list[tuple[str, str]] = []

    def new(self) -> str:
        self.count += 1
        return f"%t{self.count}"

    def label(self) -> str:
        self.count += 1
        return f"b{self.count}"

    def emit(self, line: str) -> None:
        if not self.done:
            self.lines.append("  " + line)

    def value(self, text: str) -> str:
        name = self.new()
        self.emit(f"{name} = {text}")
        return name

    def start(self, label: str) -> None:
        if not self.done:
            self.lines.append(f"  br label %{label}")
        self.lines.append(f"{label}:")
        self.done = False

    def leave(self, line: str) -> None:
        self.emit(line)
        self.done = True

    def text(self) -> str:
        names = [arg.arg for arg in self.node.args.args]
        for name in names:
            self.slot(name)
        self.block(self.node.body)
        self.leave("ret i64 0")
        params = ", ".join(f"i64 %p_{name}" for name in names)
        decorations = {d.id for d in self.node.decorator_list if isinstance(d, ast.Name)}
        linkage = "" if decorations & {"exported", "outline", "cold"} else "internal "  # regions call what is not inlined
        inline = "".join(_INLINE[name] for name in sorted(decorations & _INLINE.keys()))
        slots = [f"  {slot} = alloca i64" for slot in self.slots.values()]
        given = [f"  store i64 %p_{name}, ptr {self.slots[name]}" for name in names]
        start = ["  %sp = inttoptr i64 %p_s to ptr"] if "s" in names else []
        return "\n".join([f"define {linkage}i64 @{self.node.name}({params}) nounwind {inline}{{", "entry:", *slots, *given, *start,
                          *self.lines, "}"])

    def slot(self, name: str) -> str:
        if name not in self.slots:
            self.slots[name] = f"%v_{name}"
        return self.slots[name]

    # ---- statements ------------------------------------------------------------------

    def block(self, body: Iterable[ast.stmt]) -> None:
        for s in body:
            if self.done:
                return
            self.statement(s)

    def statement(self, s: ast.stmt) -> None:
        match s:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                result = self.expr(value)
                self.emit(f"store i64 {result}, ptr {self.slot(name)}")
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                old = self.value(f"load i64, ptr {self.slot(name)}")
                result = self.value(f"{_BINARY[type(op)]} i64 {old}, {self.expr(value)}")
                self.emit(f"store i64 {result}, ptr {self.slot(name)}")
            case ast.Expr(value=ast.Call() as call):
                self.expr(call)
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case ast.Return(value=value):
                self.leave(f"ret i64 {self.expr(value) if value is not None else 0}")
            case ast.If():
                self.if_(s)
            case ast.While(test=test, body=body):
                self.loop(lambda: self.cond(test), body, None)
            case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=[first, end]), body=body):
                self.for_(name, first, end, body)
            case ast.Break():
                self.leave(f"br label %{self.loops[-1][1]}")
            case ast.Continue():
                self.leave(f"br label %{self.loops[-1][0]}")
            case _:
                raise Untranslatable(ast.unparse(s))

    def if_(self, s: ast.If) -> None:
        arms = _switch(s)
        if arms is not None:
            return self.switch(*arms)
        then, other, end = self.label(), self.label(), self.label()
        self.leave(f"br i1 {self.cond(s.test)}, label %{then}, label %{other}")
        self.start(then)
        self.block(s.body)
        ended = self.done
        if not self.done:
            self.leave(f"br label %{end}")
        self.start(other)
        self.block(s.orelse)
        if not self.done:
            self.leave(f"br label %{end}")
            ended = False
        if not ended:
            self.lines.append(f"{end}:")
            self.done = False
        return None

    def switch(self, name: str, arms: list[tuple[int, list[ast.stmt]]], other: list[ast.stmt]) -> None:
        tested = self.value(f"load i64, ptr {self.slot(name)}")
        labels, default, end = [self.label() for _ in arms], self.label(), self.label()
        cases = " ".join(f"i64 {value}, label %{label}" for (value, _), label in zip(arms, labels, strict=True))
        self.leave(f"switch i64 {tested}, label %{default} [{cases}]")
        open_ = False
        for label, body in [*zip(labels, (body for _, body in arms), strict=True), (default, other)]:
            self.start(label)
            self.block(body)
            if not self.done:
                self.leave(f"br label %{end}")
                open_ = True
        if open_:
            self.lines.append(f"{end}:")
            self.done = False

    def loop(self, test: Callable[[], str], body: list[ast.stmt], step: Callable[[], None] | None) -> None:
        again, inside, onward, end = self.label(), self.label(), self.label(), self.label()
        self.start(again)
        self.leave(f"br i1 {test()}, label %{inside}, label %{end}")
        self.start(inside)
        self.loops.append((onward, end))
        self.block(body)
        self.loops.pop()
        self.start(onward)
        if step is not None:
            step()
        self.leave(f"br label %{again}")
        self.start(end)

    def for_(self, name: str, first: ast.expr, end: ast.expr, body: list[ast.stmt]) -> None:
        # Python's loop keeps its own count: the name only shows it.
        count, self.count = self.slot(f"{name}.{self.count}"), self.count + 1
        limit = self.expr(end)
        self.emit(f"store i64 {self.expr(first)}, ptr {count}")

        def test() -> str:
            now = self.value(f"load i64, ptr {count}")
            inside = self.value(f"icmp slt i64 {now}, {limit}")
            kept = self.value(f"load i64, ptr {self.slot(name)}")
            shown = self.value(f"select i1 {inside}, i64 {now}, i64 {kept}")
            self.emit(f"store i64 {shown}, ptr {self.slot(name)}")
            return inside

        def step() -> None:
            now = self.value(f"load i64, ptr {count}")
            self.emit(f"store i64 {self.value(f'add i64 {now}, 1')}, ptr {count}")

        self.loop(test, body, step)

    # ---- expressions -----------------------------------------------------------------

    def expr(self, e: ast.expr) -> str:
        match e:
            case ast.Constant(value=int(value)):
                return str(value)
            case ast.Name(id=name):
                if name in self.module.constants:
                    return str(self.module.constants[name])
                return self.value(f"load i64, ptr {self.slot(name)}")
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
        given = ", ".join(f"i64 {value}" for value in [self.expr(arg) for arg in args[name == "CALL" :]])
        if name == "CALL":
            return self.value(f"call i64 {self.value(f'inttoptr i64 {self.expr(args[0])} to ptr')}({given})")
        if name in self.module.outside:
            return self.value(f"call i64 inttoptr (i64 {self.module.outside[name]} to ptr)({given})")
        if name not in self.module.functions and name not in _CALLED:
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


class Module:
    """A whole generated module as IR, or a part of one that calls functions ``outside``, by their addresses."""

    def __init__(self, source: str, outside: Mapping[str, int] | None = None):
        self.outside = outside or {}
        self.constants: dict[str, int] = {}
        self.functions: list[str] = []
        definitions = []
        for node in ast.parse(source).body:
            match node:
                case ast.FunctionDef(name=name):
                    self.functions.append(name)
                    definitions.append(node)
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.constants[name] = int(ast.literal_eval(value))
        known = set(self.functions)
        self.functions = list(known)
        self.parts = [_Function(node, self).text() for node in definitions]

    @property
    def text(self) -> str:
        return "\n".join([_PRELUDE, *self.parts, _METADATA])


_METADATA = """
!0 = !{!"machine"}
!1 = !{!"record", !0}
!2 = !{!"space", !0}
!6 = !{!"map", !0}
!7 = !{!"link", !0}
!3 = !{!1, !1, i64 0}
!4 = !{!2, !2, i64 0}
!5 = !{!6, !6, i64 0}
!8 = !{!7, !7, i64 0}
"""


def _prelude() -> str:
    lines = [f"declare i{bits} @llvm.bswap.i{bits}(i{bits})" for bits in (16, 32, 64)]
    lines += [f"declare void @llvm.{name}.p0.p0.i64(ptr, ptr, i64, i1)" for name in ("memcpy", "memmove")]
    lines.append("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    lines.append("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    lines.append(_MOVE)
    shifts = {"SHL": "shl", "LSHR": "lshr", "ASHR": "ashr"}
    for name, word in shifts.items():
        # an amount of the width or more gives 0, or copies of the sign; the amount is unsigned
        far = "select i1 %in, i64 %r, i64 0" if name != "ASHR" else "select i1 %in, i64 %r, i64 %sign"
        lines.append(f"""define internal i64 @{name}(i64 %a, i64 %n, i64 %w) nounwind alwaysinline {{
  %in = icmp ult i64 %n, %w
  %m = select i1 %in, i64 %n, i64 0
  %r = {word} i64 %a, %m
  %sign = ashr i64 %a, 63
  %x = {far}
  ret i64 %x
}}""")
    for name, word in (("UDIV", "udiv"), ("UREM", "urem")):
        third = ", i64 %m" if name == "UDIV" else ""
        zero = "%m" if name == "UDIV" else "%a"
        lines.append(f"""define internal i64 @{name}(i64 %a, i64 %b{third}) nounwind alwaysinline {{
  %z = icmp eq i64 %b, 0
  %d = select i1 %z, i64 1, i64 %b
  %q = {word} i64 %a, %d
  %r = select i1 %z, i64 {zero}, i64 %q
  ret i64 %r
}}""")
    for name, word, by_minus_one in (("SDIV", "sdiv", "%n"), ("SREM", "srem", "0")):
        zero = "%one" if name == "SDIV" else "%a"
        lines.append(f"""define internal i64 @{name}(i64 %a, i64 %b) nounwind alwaysinline {{
  %z = icmp eq i64 %b, 0
  %m = icmp eq i64 %b, -1
  %zm = or i1 %z, %m
  %d = select i1 %zm, i64 1, i64 %b
  %q = {word} i64 %a, %d
  %n = sub i64 0, %a
  %neg = icmp slt i64 %a, 0
  %one = select i1 %neg, i64 1, i64 -1
  %q1 = select i1 %m, i64 {by_minus_one}, i64 %q
  %r = select i1 %z, i64 {zero}, i64 %q1
  ret i64 %r
}}""")
    return "\n".join(lines)


# A byte is moved after all before it: where the target starts within the source, they are seen again.
_MOVE = """define internal i64 @MOVE(i64 %to, i64 %from, i64 %n) nounwind noinline {
entry:
  %a = inttoptr i64 %to to ptr
  %b = inttoptr i64 %from to ptr
  %ahead = sub i64 %to, %from
  %apart = icmp uge i64 %ahead, %n
  br i1 %apart, label %whole, label %near
whole:
  call void @llvm.memmove.p0.p0.i64(ptr %a, ptr %b, i64 %n, i1 false)
  ret i64 %n
near:
  %one = icmp eq i64 %ahead, 1
  br i1 %one, label %filled, label %again
filled:
  %byte = load i8, ptr %b
  call void @llvm.memset.p0.i64(ptr %a, i8 %byte, i64 %n, i1 false)
  ret i64 %n
again:
  %i = phi i64 [0, %near], [%next, %again]
  %p = getelementptr i8, ptr %b, i64 %i
  %q = getelementptr i8, ptr %a, i64 %i
  %moved = load volatile i8, ptr %p
  store volatile i8 %moved, ptr %q
  %next = add i64 %i, 1
  %done = icmp eq i64 %next, %n
  br i1 %done, label %end, label %again
end:
  ret i64 %n
}"""
_PRELUDE = _prelude()
