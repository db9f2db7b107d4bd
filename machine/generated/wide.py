"""Values of more than 64 bits: words in memory, least significant first, worked on by functions of the runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isa_specs import core
from isa_specs.core import Expr
from machine.generated.layout import NotGenerated, limbs, literal, mask

if TYPE_CHECKING:
    from machine.generated.bodies import Body

_BITWISE = {"and": "w_and", "or": "w_or", "xor": "w_xor", "add": "w_add", "sub": "w_sub", "mul": "w_mul"}
_SHIFTS = {"shl": "w_shl", "lshr": "w_lshr", "ashr": "w_ashr"}
_DIVISIONS = {"udiv": "w_udiv", "urem": "w_urem", "sdiv": "w_sdiv", "srem": "w_srem"}
_COMPARISONS = {"eq": "w_eq", "ult": "w_ult", "ule": "w_ule", "slt": "w_slt", "sle": "w_sle"}


def value(body: Body, e: Expr) -> str:
    """The address of the words of ``e``. They are the caller's until this code runs again."""
    count = limbs(e.width)
    match e:
        case core.Local():
            return body.locals[e.name]
        case core.Load():
            return body.load(e)
        case core.CallFunction():
            return body.call(e.function, e.args)
        case core.Read():
            return copied(body, body.read_address(e.cell), e.width)
        case core.ReadElement():
            return copied(body, body.element(e.array, body.value(e.index)), e.width)
        case core.Field():
            raise NotGenerated(f"the field '{e.name}' is wider than 64 bits")
    if isinstance(e, core.Choice):
        return _choice(body, e)
    if isinstance(e, core.Apply):
        return _apply(body, e)
    where = body.room(e.width)
    match e:
        case core.Const():
            for limb in range(count):
                body.code(f"ST({where} + {8 * limb}, {literal(e.value >> 64 * limb & (1 << 64) - 1, 64)})")
        case core.Undefined():
            for limb in range(count):
                body.code(f"ST({where} + {8 * limb}, LD(s + UNDEFINED))")
            _trim(body, where, e.width)
        case core.Extract():
            given = value(body, e.arg)
            body.code(f"w_extract({where}, {given}, {e.low}, {count}, {limbs(e.arg.width)})")
            _trim(body, where, e.width)
        case core.Extend():
            _extend(body, e, where)
        case core.Concat():
            _concat(body, e, where)
        case _:
            raise AssertionError(f"not an expression: {type(e).__name__}")
    return where


def assign(body: Body, name: str, e: Expr) -> None:
    """Give the local at ``name`` the value of ``e``: where that only shifts it, or sets bits of it, in place."""
    count = limbs(e.width)
    match e:
        case core.Apply(op=op, args=(core.Local(name=old), by)) if op.name == "shl" and body.locals.get(old) == name and (
                amount := _small(by, e.width)):
            body.code(f"w_shl({name}, {name}, {body.value(amount)}, {count}, {e.width})")
        case core.Apply(op=op, args=(core.Local(name=old), core.Apply(op=shift, args=(core.Extend(arg=bits, signed=False), by)))) if (
                (op.name, shift.name) == ("or", "shl") and body.locals.get(old) == name and bits.width <= 64 and (
                amount := _small(by, e.width))):
            body.code(f"w_or_at({name}, {', '.join(body.values([bits, amount]))}, {count})")
        case _:
            return body.code(f"copy({name}, {value(body, e)}, {count})")
    return _trim(body, name, e.width)


def _small(e: Expr, width: int) -> Expr | None:
    """A shift amount for ``width`` bits as an expression of one word, which is at most ``width``."""
    match e:
        case core.Const(value=number):
            return core.Const(64, min(number, width))
        case core.Extend(arg=arg, signed=False) if 1 << arg.width <= width:
            return arg
    return None


def copied(body: Body, address: str, width: int) -> str:
    where = body.room(width)
    body.code(f"copy({where}, {address}, {limbs(width)})")
    return where


def _trim(body: Body, where: str, width: int) -> None:
    if width % 64:
        top = f"{where} + {8 * (limbs(width) - 1)}"
        body.code(f"ST({top}, LD({top}) & {mask(width % 64)})")


def _choice(body: Body, e: core.Choice) -> str:
    where = body.room(e.width)
    condition = body.condition(e.condition)
    count = limbs(e.width)
    body.branch(condition, lambda: body.code(f"copy({where}, {value(body, e.then)}, {count})"),
                lambda: body.code(f"copy({where}, {value(body, e.other)}, {count})"))
    return where


def _extend(body: Body, e: core.Extend, where: str) -> None:
    count, given = limbs(e.width), limbs(e.arg.width)
    text = body.value(e.arg)
    if e.arg.width > 64:
        body.code(f"copy({where}, {text}, {given})")
    else:
        body.code(f"ST({where}, {text})")
    body.code(f"w_fill({where}, {e.arg.width if e.signed else 0}, {given}, {count})")
    _trim(body, where, e.width)


def _concat(body: Body, e: core.Concat, where: str) -> None:
    texts = body.values(e.parts)
    body.code(f"w_fill({where}, 0, 0, {limbs(e.width)})")
    at = e.width
    for part, text in zip(e.parts, texts, strict=True):
        at -= part.width
        for limb in range(limbs(part.width)):
            word = text if part.width <= 64 else f"LD({text} + {8 * limb})"
            body.code(f"w_deposit({where}, {word}, {at + 64 * limb}, {min(64, part.width - 64 * limb)})")


def _apply(body: Body, e: core.Apply) -> str:
    count, name = limbs(e.width), e.op.name
    where = body.room(e.width)
    texts = body.values(e.args)
    if name in _BITWISE:
        body.code(f"{_BITWISE[name]}({where}, {texts[0]}, {texts[1]}, {count})")
    elif name in _SHIFTS:
        body.code(f"{_SHIFTS[name]}({where}, {texts[0]}, w_amount({texts[1]}, {count}, {e.width}), {count}, {e.width})")
    elif name in _DIVISIONS:
        room = f"s + {body.unit.layout.take(3 * count)}"
        body.code(f"{_DIVISIONS[name]}({where}, {texts[0]}, {texts[1]}, {count}, {e.width}, {room})")
    elif name in ("not", "neg"):
        body.code(f"w_{name}({where}, {texts[0]}, {count})")
    else:
        raise NotGenerated(f"'{name}' on {e.width} bits")
    _trim(body, where, e.width)
    return where


def predicate(body: Body, e: core.Apply) -> str:
    """A comparison of wide operands, as a text that is 0 or 1."""
    width = e.args[0].width
    texts = body.values(e.args)
    return f"{_COMPARISONS[e.op.name]}({', '.join(texts)}, {limbs(width)}, {width})"


def extract(body: Body, e: core.Extract) -> str:
    """At most 64 bits of a wide value, as a text."""
    where = value(body, e.arg)
    return f"(w_bits({where}, {e.low}, {limbs(e.arg.width)}) & {mask(e.width)})"
