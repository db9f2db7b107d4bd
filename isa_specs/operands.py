"""Operands of assembly text: how each kind is written and read.

``show`` gives the text of an operand, ``read`` the field values that a text may stand for; where an instruction could
hold the same operand in several ways (displacements), all of them, shortest first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from isa_specs.ops import to_signed

EXPRESSION = r"[^,()\[\]{}]+?"


class OperandError(ValueError):
    """A text that is not such an operand. ``rank`` says how near it came: the best of several is reported."""

    def __init__(self, message: str, rank: int = 1):
        self.rank = rank
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Reading:
    """Field values a text stands for. ``target`` is an address still to be made relative to the next instruction;
    ``assumed`` the size keyword that was left out."""

    fields: Mapping[str, int]
    target: tuple[str, int, int] | None = None  # field, its width, address
    assumed: str = ""
    addrsize: int | None = None


Symbols = Mapping[str, int]


class Operand(Protocol):
    @property
    def pattern(self) -> str: ...

    def show(self, env: Mapping[str, int], following: int) -> str: ...

    def read(self, text: str, symbols: Symbols) -> list[Reading]: ...


# ---- numbers --------------------------------------------------------------------------------------------


def number_text(value: int, width: int = 64) -> str:
    """Decimal for register numbers and digits, else hexadecimal; the sign in front."""
    magnitude = abs(value)
    digits = str(magnitude) if magnitude < 10 or width <= 4 else hex(magnitude)
    return f"-{digits}" if value < 0 else digits


_TOKEN = re.compile(r"\s*(?:(0x[0-9a-f_]+|0b[01_]+|[0-9][0-9_]*)(?!\w)|'([^'])'|([A-Za-z_.$][\w.$]*)|(.))", re.IGNORECASE)


def expression(text: str, symbols: Symbols) -> int:
    """Sums and products of numbers, characters and labels: ``table+4*2-'a'``. ``.`` is the current address."""
    tokens: list[int | str] = []
    for digits, char, name, other in _TOKEN.findall(text.strip()):
        if digits:
            tokens.append(int(digits.replace("_", ""), 0 if digits[:2].lower() in ("0x", "0b") else 10))
        elif char:
            tokens.append(ord(char))
        elif name:
            if name not in symbols:
                raise OperandError(f"'{name}' is not defined", 2)
            tokens.append(symbols[name])
        else:
            tokens.append(other)
    total, position = _sum(tokens, 0)
    if position != len(tokens):
        raise OperandError(f"'{text.strip()}' is not a number")
    return total


def _sum(tokens: Sequence[int | str], at: int) -> tuple[int, int]:
    total, at = _product(tokens, at)
    while at < len(tokens) and tokens[at] in ("+", "-"):
        value, after = _product(tokens, at + 1)
        total += value if tokens[at] == "+" else -value
        at = after
    return total, at


def _product(tokens: Sequence[int | str], at: int) -> tuple[int, int]:
    sign = 1
    while at < len(tokens) and tokens[at] in ("+", "-"):
        sign = -sign if tokens[at] == "-" else sign
        at += 1
    total = sign
    while True:
        if at == len(tokens) or isinstance(tokens[at], str):
            raise OperandError("a number is expected here")
        total *= int(tokens[at])
        at += 1
        if at == len(tokens) or tokens[at] != "*":
            return total, at
        at += 1


@dataclass(frozen=True, slots=True)
class Number:
    """A field as a number. ``extended`` is the width to which the instruction sign-extends it (0: it does not): the
    text is then the number that takes part in the operation, so 0xFF and -1 are not confused."""

    field: str
    width: int
    extended: int = 0
    pattern: str = EXPRESSION

    def show(self, env: Mapping[str, int], following: int) -> str:
        value = env[self.field]
        return number_text(to_signed(value, self.width) if self.extended else value, self.width)

    def read(self, text: str, symbols: Symbols) -> list[Reading]:
        value, wide = expression(text, symbols), self.extended or self.width
        if not -(1 << wide - 1) <= value < 1 << wide:
            raise OperandError(f"{number_text(value)} does not fit in {wide} bits", 3)
        value &= (1 << wide) - 1
        low = value & ((1 << self.width) - 1)
        if self.extended and to_signed(low, self.width) & ((1 << wide) - 1) != value:
            raise OperandError(f"{number_text(value)} does not fit in {self.width} bits with a sign", 3)
        return [Reading({self.field: low})]


@dataclass(frozen=True, slots=True)
class Relative:
    """A field as the address it leads to from the next instruction; ``space`` is the width of addresses."""

    field: str
    width: int
    space: int
    pattern: str = EXPRESSION

    def show(self, env: Mapping[str, int], following: int) -> str:
        return number_text((following + to_signed(env[self.field], self.width)) & ((1 << self.space) - 1))

    def read(self, text: str, symbols: Symbols) -> list[Reading]:
        return [Reading({}, (self.field, self.width, expression(text, symbols)))]

    @staticmethod
    def distance(target: int, following: int, width: int, space: int) -> int:
        """The field value that leads to ``target``."""
        away = to_signed((target - following) & ((1 << space) - 1), space)
        if not -(1 << width - 1) <= away < 1 << width - 1:
            raise OperandError(f"{number_text(target & ((1 << space) - 1))} is {abs(away)} bytes away, too far for {width} bits", 3)
        return away & ((1 << width) - 1)


@dataclass(frozen=True, slots=True)
class Name:
    """A field as a word of a names class; numbers without a word are written as numbers. ``optional``: no word for 0."""

    field: str
    width: int
    words: tuple[str, ...]
    optional: bool = False
    pattern: str = r"\w+"

    def show(self, env: Mapping[str, int], following: int) -> str:
        value = env[self.field]
        word = self.words[value] if value < len(self.words) else "_"
        if word == "_":
            return "" if self.optional and value == 0 else str(value)
        return word

    def read(self, text: str, symbols: Symbols) -> list[Reading]:
        value = word_number(self.words, text)
        if value is None and self.optional and not text:
            value = 0
        if value is None and text.isdecimal() and self.show({self.field: int(text)}, 0) == text:
            value = int(text)
        if value is None:
            raise OperandError(f"'{text}' is none of {', '.join(w for w in self.words if w != '_')}")
        if value >> self.width:
            raise OperandError(f"{value} does not fit in {self.width} bits", 3)
        return [Reading({self.field: value})]


def word_number(words: Sequence[str], text: str) -> int | None:
    """The index of a word, in any case; ``_`` is no word."""
    text = text.casefold()
    return next((i for i, word in enumerate(words) if word != "_" and word.casefold() == text), None)
