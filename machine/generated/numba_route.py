"""The second compiler: Numba, on the very text that :mod:`llvm` translates. Slow to compile; it is there to disagree.

The primitives are defined anew here, by other means where there are any.
"""

# ruff: noqa: N802 (the names the generated code uses)

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from llvmlite import ir
from numba import int64, njit, types
from numba.extending import intrinsic

_WORD = ir.IntType(64)


def _load(bits: int) -> Any:
    @intrinsic
    def load(context, p):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            where = builder.inttoptr(args[0], ir.IntType(bits).as_pointer())
            value = builder.load(where, align=1)
            return value if bits == 64 else builder.zext(value, _WORD)

        return int64(int64), generate

    return load


def _store(bits: int) -> Any:
    @intrinsic
    def store(context, p, value):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            where = builder.inttoptr(args[0], ir.IntType(bits).as_pointer())
            builder.store(args[1] if bits == 64 else builder.trunc(args[1], ir.IntType(bits)), where, align=1)
            return ir.Constant(_WORD, 0)

        return int64(int64, int64), generate

    return store


LD = LINK = LOAD8 = _load(64)
LOAD4, LOAD2, LOAD1 = _load(32), _load(16), _load(8)
ST = SET_LINK = STORE8 = _store(64)
STORE4, STORE2, STORE1 = _store(32), _store(16), _store(8)
BYTE, SET_BYTE = LOAD1, STORE1


@njit(error_model="numpy")
def COPY(to, p, words):  # type: ignore[no-untyped-def]
    for i in range(words):
        ST(to + 8 * i, LD(p + 8 * i))
    return np.int64(0)


@njit(error_model="numpy")
def PREFETCH(p):  # type: ignore[no-untyped-def]
    return np.int64(0)


@njit(error_model="numpy")
def MOVE(to, p, n):  # type: ignore[no-untyped-def]
    for i in range(n):
        STORE1(to + i, LOAD1(p + i))
    return np.int64(n)


@intrinsic
def CALL(context, function, s, limit):  # type: ignore[no-untyped-def]
    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        where = builder.inttoptr(args[0], ir.FunctionType(_WORD, [_WORD, _WORD]).as_pointer())
        return builder.call(where, args[1:])

    return int64(int64, int64, int64), generate


@njit(error_model="numpy")
def SWAP2(v):  # type: ignore[no-untyped-def]
    return (v & 0xFF) << 8 | (v >> 8 & 0xFF)


@njit(error_model="numpy")
def SWAP4(v):  # type: ignore[no-untyped-def]
    return SWAP2(v) << 16 | SWAP2(v >> 16)


@njit(error_model="numpy")
def SWAP8(v):  # type: ignore[no-untyped-def]
    return SWAP4(v) << 32 | SWAP4(v >> 32)


@njit(error_model="numpy")
def ULT(a, b):  # type: ignore[no-untyped-def]
    return np.uint64(a) < np.uint64(b)


@njit(error_model="numpy")
def ULE(a, b):  # type: ignore[no-untyped-def]
    return np.uint64(a) <= np.uint64(b)


@njit(error_model="numpy")
def UDIV(a, b, ones):  # type: ignore[no-untyped-def]
    if b == 0:
        return np.int64(ones)
    return np.int64(np.uint64(a) // np.uint64(b))


@njit(error_model="numpy")
def UREM(a, b):  # type: ignore[no-untyped-def]
    if b == 0:
        return np.int64(a)
    return np.int64(np.uint64(a) - np.uint64(a) // np.uint64(b) * np.uint64(b))


@njit(error_model="numpy")
def SDIV(a, b):  # type: ignore[no-untyped-def]
    if b == 0:
        return np.int64(1) if a < 0 else np.int64(-1)
    if b == -1:
        return np.int64(0) - a
    quotient = a // b
    if quotient * b != a and (a < 0) != (b < 0):
        quotient += 1  # toward zero
    return np.int64(quotient)


@njit(error_model="numpy")
def SREM(a, b):  # type: ignore[no-untyped-def]
    if b == 0:
        return np.int64(a)
    return np.int64(a - SDIV(a, b) * b)


@njit(error_model="numpy")
def SHL(a, n, w):  # type: ignore[no-untyped-def]
    return np.int64(a) << n if 0 <= n < w else np.int64(0)


@njit(error_model="numpy")
def LSHR(a, n, w):  # type: ignore[no-untyped-def]
    return np.int64(np.uint64(a) >> np.uint64(n)) if 0 <= n < w else np.int64(0)


@njit(error_model="numpy")
def ASHR(a, n, w):  # type: ignore[no-untyped-def]
    return np.int64(a) >> n if 0 <= n < w else np.int64(a) >> 63


def _wrapping(operation: str) -> Any:
    @intrinsic
    def compute(context, a, b):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return getattr(builder, operation)(*args)

        return int64(int64, int64), generate

    return compute


ADD, SUB, MUL = _wrapping("add"), _wrapping("sub"), _wrapping("mul")


class _Wrapping(ast.NodeTransformer):
    """Sums, differences and products that wrap: for Numba a signed overflow is undefined, and it has compiled comparisons so."""

    _names: ClassVar = {ast.Add: "ADD", ast.Sub: "SUB", ast.Mult: "MUL"}

    def _call(self, op: ast.operator, *args: ast.expr) -> ast.Call:
        return ast.Call(ast.Name(self._names[type(op)], ast.Load()), list(args), [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return self._call(node.op, node.left, node.right) if type(node.op) in self._names else node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
            return self._call(ast.Sub(), ast.Constant(0), node.operand)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        self.generic_visit(node)
        assert isinstance(node.target, ast.Name)
        old = ast.Name(node.target.id, ast.Load())
        value = self._call(node.op, old, node.value) if type(node.op) in self._names else ast.BinOp(old, node.op, node.value)
        return ast.Assign([node.target], value)


class NumbaCompiled:
    """The functions of a generated module, compiled by Numba. ``function(name)`` is an exported one."""

    def __init__(self, source: str):
        tree = ast.fix_missing_locations(_Wrapping().visit(ast.parse(source)))
        exported: set[str] = set()
        definitions: dict[str, ast.FunctionDef] = {}
        names: dict[str, Any] = {name: value for name, value in globals().items() if name.isupper()}
        for node in tree.body:
            match node:
                case ast.FunctionDef():
                    if any(isinstance(d, ast.Name) and d.id == "exported" for d in node.decorator_list):
                        exported.add(node.name)
                    node.decorator_list = []
                    definitions[node.name] = node
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    names[name] = int(ast.literal_eval(value))
        # The text is the generator's: names of a description are only parts of names in it, or comments.
        exec(compile(ast.Module(body=list(definitions.values()), type_ignores=[]), "<generated>", "exec"), names)
        for node in _callees_first(definitions):
            signature = types.int64(*[types.int64] * len(node.args.args))
            wrap = node.name not in exported
            options: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": wrap, "no_cfunc_wrapper": wrap}
            names[node.name] = njit(signature, **options)(names[node.name])
        self._functions = {name: names[name] for name in exported}

    def function(self, name: str) -> Callable[..., int]:
        compiled: Callable[..., int] = self._functions[name]
        return compiled


def _callees_first(definitions: dict[str, ast.FunctionDef]) -> list[ast.FunctionDef]:
    """In an order in which each function calls only those before it; there is one, as nothing recurses."""
    ordered: dict[str, ast.FunctionDef] = {}

    def visit(name: str) -> None:
        if name in ordered:
            return
        for node in ast.walk(definitions[name]):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in definitions:
                visit(node.func.id)
        ordered[name] = definitions[name]

    for name in definitions:
        visit(name)
    return list(ordered.values())
