"""Values of more than 64 bits: words in memory, least significant first.

Those of a few words are worked on word by word, so that LLVM sees where each goes; longer ones by functions of the runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isa_specs import core
from isa_specs.core import Expr
from machine.generated.layout import NotGenerated, limbs, literal, mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from machine.generated.bodies import Body

FEW = 4  # words
_WORDWISE = {"and": "{} & {}", "or": "{} | {}", "xor": "{} ^ {}"}
_FUNCTIONS = {"and": "w_and", "or": "w_or", "xor": "w_xor", "add": "w_add", "sub": "w_sub", "mul": "w_mul"}
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
            if count <= FEW:
                _put(body, where, [_bits(given, e.low + 64 * limb, limbs(e.arg.width)) for limb in range(count)])
            else:
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
    """Give the local at ``name`` the value of ``e``: where that only shifts many words, or sets bits of them, in place."""
    count = limbs(e.width)
    match e:
        case core.Apply(op=op, args=(core.Local(name=old), by)) if (
                count > FEW and op.name == "shl" and body.locals.get(old) == name):
            body.code(f"w_shl({name}, {name}, {_amount(body, by, e.width)}, {count}, {e.width})")
        case core.Apply(op=op, args=(core.Local(name=old), core.Apply(op=shift, args=(core.Extend(arg=bits, signed=False), by)))) if (
                count > FEW and (op.name, shift.name) == ("or", "shl") and body.locals.get(old) == name and bits.width <= 64):
            text = body.value(bits)
            body.code(f"w_or_at({name}, {text}, {_amount(body, by, e.width)}, {count})")
        case _:
            return copy(body, name, value(body, e), e.width)
    return _trim(body, name, e.width)


def _amount(body: Body, by: Expr, width: int) -> str:
    """A shift amount for ``width`` bits, at most ``width``, as a text."""
    match by:
        case core.Const(value=number):
            return str(min(number, width))
        case core.Extend(arg=arg, signed=False) if arg.width <= 64:
            text = body.value(arg)
            if 1 << arg.width > width:
                text = body.temporary(text)
                text = f"({text} if ULT({text}, {width}) else {width})"
            return text
    return f"w_amount({value(body, by)}, {limbs(width)}, {width})"


def copy(body: Body, to: str, address: str, width: int) -> None:
    count = limbs(width)
    if count <= FEW:
        _put(body, to, [_word(address, limb) for limb in range(count)])
    else:
        body.code(f"copy({to}, {address}, {count})")


def copied(body: Body, address: str, width: int) -> str:
    where = body.room(width)
    copy(body, where, address, width)
    return where


def _word(where: str, limb: int) -> str:
    return f"LD({where} + {8 * limb})" if limb else f"LD({where})"


def _put(body: Body, where: str, words: Sequence[str]) -> None:
    for limb, word in enumerate(words):
        body.code(f"ST({where}{f' + {8 * limb}' if limb else ''}, {word})")


def _bits(where: str, low: int, count: int) -> str:
    """The 64 bits from bit ``low`` on of a value of ``count`` words."""
    limb, shift = divmod(low, 64)
    parts = []
    if limb < count:
        parts.append(f"LSHR({_word(where, limb)}, {shift}, 64)" if shift else _word(where, limb))
    if shift and limb + 1 < count:
        parts.append(f"{_word(where, limb + 1)} << {64 - shift}")
    return " | ".join(parts) or "0"


def _trim(body: Body, where: str, width: int) -> None:
    if width % 64:
        top = f"{where} + {8 * (limbs(width) - 1)}"
        body.code(f"ST({top}, LD({top}) & {mask(width % 64)})")


def _choice(body: Body, e: core.Choice) -> str:
    where = body.room(e.width)
    condition = body.condition(e.condition)
    body.branch(condition, lambda: copy(body, where, value(body, e.then), e.width),
                lambda: copy(body, where, value(body, e.other), e.width))
    return where


def _extend(body: Body, e: core.Extend, where: str) -> None:
    count, given = limbs(e.width), limbs(e.arg.width)
    text = body.value(e.arg)
    if e.arg.width > 64:
        copy(body, where, text, e.arg.width)
    else:
        body.code(f"ST({where}, {text})")
    if e.signed or count > FEW:
        body.code(f"w_fill({where}, {e.arg.width if e.signed else 0}, {given}, {count})")
    else:
        for limb in range(given, count):
            body.code(f"ST({where} + {8 * limb}, 0)")
    _trim(body, where, e.width)


def _concat(body: Body, e: core.Concat, where: str) -> None:
    texts = body.values(e.parts)
    words: list[list[str]] = [[] for _ in range(limbs(e.width))]
    at = e.width
    for part, text in zip(e.parts, texts, strict=True):
        at -= part.width
        for number in range(limbs(part.width)):
            word = text if part.width <= 64 else _word(text, number)
            limb, shift = divmod(at + 64 * number, 64)
            words[limb].append(f"{word} << {shift}" if shift else word)
            if shift + min(64, part.width - 64 * number) > 64:
                words[limb + 1].append(f"LSHR({word}, {64 - shift}, 64)")
    _put(body, where, [" | ".join(word) or "0" for word in words])


def _apply(body: Body, e: core.Apply) -> str:
    count, name = limbs(e.width), e.op.name
    where = body.room(e.width)
    if name in _SHIFTS:
        _shift(body, e, where)
    elif name in _DIVISIONS:
        texts = body.values(e.args)
        room = f"s + {body.unit.layout.take(3 * count)}"
        body.code(f"{_DIVISIONS[name]}({where}, {texts[0]}, {texts[1]}, {count}, {e.width}, {room})")
    elif name in ("not", "neg"):
        text = body.value(e.args[0])
        if name == "not" and count <= FEW:
            _put(body, where, [f"~{_word(text, limb)}" for limb in range(count)])
        else:
            body.code(f"w_{name}({where}, {text}, {count})")
    elif name in _FUNCTIONS:
        a, b = body.values(e.args)
        if count > FEW or (name == "mul" and count > 2):
            body.code(f"{_FUNCTIONS[name]}({where}, {a}, {b}, {count})")
        elif name == "mul":
            body.code(f"ST({where}, {_word(a, 0)} * {_word(b, 0)})")
            crossed = f"{_word(a, 0)} * {_word(b, 1)} + {_word(a, 1)} * {_word(b, 0)}"
            body.code(f"ST({where} + 8, w_high({_word(a, 0)}, {_word(b, 0)}) + {crossed})")
        elif name in _WORDWISE:
            _put(body, where, [_WORDWISE[name].format(_word(a, limb), _word(b, limb)) for limb in range(count)])
        else:
            _sum(body, where, a, b, count, subtract=name == "sub")
    else:
        raise NotGenerated(f"'{name}' on {e.width} bits")
    _trim(body, where, e.width)
    return where


def _sum(body: Body, where: str, a: str, b: str, count: int, *, subtract: bool) -> None:
    carry = ""
    for limb in range(count):
        x, y = (body.temporary(_word(each, limb)) for each in (a, b))
        z = body.temporary(f"{x} {'-' if subtract else '+'} {y}")
        out = f"ULT({x}, {y})" if subtract else f"ULT({z}, {x})"
        if carry:
            first, z = z, body.temporary(f"{z} {'-' if subtract else '+'} {carry}")
            again = f"ULT({first}, {carry})" if subtract else f"ULT({z}, {carry})"
            carry = body.temporary(f"int({out}) | int({again})")
        else:
            carry = body.temporary(f"int({out})")
        body.code(f"ST({where}{f' + {8 * limb}' if limb else ''}, {z})")


def _shift(body: Body, e: core.Apply, where: str) -> None:
    count, name, by = limbs(e.width), e.op.name, e.args[1]
    x = value(body, e.args[0])
    if isinstance(by, core.Const) and name != "ashr" and count <= FEW:
        amount = min(by.value, 64 * count)
        if name == "lshr":
            return _put(body, where, [_bits(x, amount + 64 * limb, count) for limb in range(count)])
        skip, shift = divmod(amount, 64)
        words = [[f"{_word(x, limb - skip)} << {shift}"] if limb >= skip else [] for limb in range(count)]
        for limb in range(skip + 1, count):
            words[limb] += [f"LSHR({_word(x, limb - skip - 1)}, {64 - shift}, 64)"] if shift else []
        return _put(body, where, [" | ".join(word) or "0" for word in words])
    n = _amount(body, by, e.width)
    if name == "ashr" or count != 2:
        body.code(f"{_SHIFTS[name]}({where}, {x}, {n}, {count}, {e.width})")
        return None
    n, low, high = body.temporary(n), body.temporary(_word(x, 0)), body.temporary(_word(x, 1))
    # The primitives give 0 for amounts beyond 0 to 63.
    if name == "shl":
        return _put(body, where, [f"SHL({low}, {n}, 64)", f"SHL({high}, {n}, 64) | LSHR({low}, 64 - {n}, 64) | SHL({low}, {n} - 64, 64)"])
    return _put(body, where, [f"LSHR({low}, {n}, 64) | SHL({high}, 64 - {n}, 64) | LSHR({high}, {n} - 64, 64)", f"LSHR({high}, {n}, 64)"])


def predicate(body: Body, e: core.Apply) -> str:
    """A comparison of wide operands, as a text that is 0 or 1."""
    width, name = e.args[0].width, e.op.name
    count = limbs(width)
    a, b = body.values(e.args)
    if count > FEW or name in ("slt", "sle"):
        return f"{_COMPARISONS[name]}({a}, {b}, {count}, {width})"
    if name == "eq":
        return f"int({' | '.join(f'({_word(a, limb)} ^ {_word(b, limb)})' for limb in range(count))} == 0)"
    text = f"int({'ULT' if name == 'ult' else 'ULE'}({_word(a, 0)}, {_word(b, 0)}))"
    for limb in range(1, count):
        x, y = _word(a, limb), _word(b, limb)
        text = f"(int(ULT({x}, {y})) | int({x} == {y}) & {text})"
    return text


def extract(body: Body, e: core.Extract) -> str:
    """At most 64 bits of a wide value, as a text."""
    match e.arg:
        case core.Apply(op=op, args=(shifted, by)) if op.name == "lshr":  # no other bits of that are wanted
            where, low = value(body, shifted), f"{e.low} + " if e.low else ""
            return f"(w_bits({where}, {low}{_amount(body, by, e.arg.width)}, {limbs(e.arg.width)}) & {mask(e.width)})"
    return f"(({_bits(value(body, e.arg), e.low, limbs(e.arg.width))}) & {mask(e.width)})"
