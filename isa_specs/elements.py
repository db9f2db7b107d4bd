"""The parts of an encoding, each read and written by the same small class.

A part takes its fields from the bytes (``read``) or turns them into bytes (``write``). ModRM, SIB and displacement
follow the Intel Software Developer's Manual, volume 2, tables 2-1 to 2-3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from isa_specs.core import MODRM_FIELDS, FieldByte, FixedEncoding, Form, Immediate, Isa, OpcodeByte
from isa_specs.ops import to_signed

MAX_LENGTH = 15  # of an instruction with its prefixes, in bytes: the limit of the Intel manuals
ByteOrder = Literal["big", "little"]


class EncodeError(ValueError):
    """Field values that have no encoding."""


class TooLong(Exception):
    """More than MAX_LENGTH bytes would be needed."""


class Window:
    """The bytes of one instruction, each fetched once and only when asked for."""

    __slots__ = ("_bytes", "_fetch")

    def __init__(self, fetch: Callable[[int], int]):
        self._fetch, self._bytes = fetch, bytearray()

    def __getitem__(self, offset: int) -> int:
        while len(self._bytes) <= offset:
            if len(self._bytes) == MAX_LENGTH:
                raise TooLong
            self._bytes.append(self._fetch(len(self._bytes)))
        return self._bytes[offset]

    def number(self, offset: int, length: int, order: ByteOrder) -> int:
        """``length`` bytes from ``offset`` as an unsigned number."""
        return int.from_bytes([self[offset + i] for i in range(length)], order)


class Element(Protocol):
    """``read`` adds fields to ``env`` and returns the offset behind the part, or -1 where the bytes differ."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def read(self, window: Window, at: int, env: dict[str, int]) -> int: ...

    def write(self, env: Mapping[str, int]) -> bytes: ...


def wanted(env: Mapping[str, int], name: str, width: int) -> int:
    """The value given for a field, checked against its width."""
    if name not in env:
        raise EncodeError(f"field '{name}' is missing")
    value = env[name]
    if not 0 <= value < 1 << width:
        raise EncodeError(f"{name} = {value:#x} does not fit in {width} bits")
    return value


class Fixed:
    """All fields of a fixed format."""

    def __init__(self, encoding: FixedEncoding, order: ByteOrder):
        self.order, self.length, values = order, encoding.format.length, dict(encoding.values)
        self.free: list[tuple[str, int, int]] = []
        self.values = values
        shift, mask, value = 8 * self.length, 0, 0
        for name, width in encoding.format.fields:
            shift -= width
            if name in values:
                mask |= ((1 << width) - 1) << shift
                value |= values[name] << shift
            elif name != "_":
                self.free.append((name, width, shift))
        self.value = value
        self._fixed = list(zip(mask.to_bytes(self.length, order), value.to_bytes(self.length, order), strict=True))
        self.names = (*(name for name, _, _ in self.free), *values)

    def read(self, window: Window, at: int, env: dict[str, int]) -> int:
        for i, (mask, value) in enumerate(self._fixed, at):
            if (window[i] ^ value) & mask:
                return -1
        word = window.number(at, self.length, self.order)
        env.update(self.values)
        for name, width, shift in self.free:
            env[name] = word >> shift & ((1 << width) - 1)
        return at + self.length

    def write(self, env: Mapping[str, int]) -> bytes:
        _agree(env, self.values)
        word = self.value
        for name, width, shift in self.free:
            word |= wanted(env, name, width) << shift
        return word.to_bytes(self.length, self.order)


class Opcode:
    """One opcode byte, perhaps with a field in its low three bits."""

    def __init__(self, element: OpcodeByte):
        self.value, self.field = element.value, element.field
        self.names = (element.field,) if element.field else ()

    def read(self, window: Window, at: int, env: dict[str, int]) -> int:
        byte = window[at]
        if not self.field:
            return at + 1 if byte == self.value else -1
        if (byte ^ self.value) & 0xF8:
            return -1
        env[self.field] = byte & 7
        return at + 1

    def write(self, env: Mapping[str, int]) -> bytes:
        return bytes([self.value & 0xF8 | wanted(env, self.field, 3) if self.field else self.value])


class ModRMByte:
    """The ModRM byte itself."""

    names = ("mod", "reg", "rm")

    def __init__(self, digit: int | None):
        self.digit = digit

    def read(self, window: Window, at: int, env: dict[str, int]) -> int:
        byte = window[at]
        if self.digit is not None and byte >> 3 & 7 != self.digit:
            return -1
        env["mod"], env["reg"], env["rm"] = byte >> 6, byte >> 3 & 7, byte & 7
        return at + 1

    def write(self, env: Mapping[str, int]) -> bytes:
        if self.digit is not None:
            _agree(env, {"reg": self.digit})
        reg = wanted(env, "reg", 3) if self.digit is None else self.digit
        return bytes([wanted(env, "mod", 2) << 6 | reg << 3 | wanted(env, "rm", 3)])


def has_sib(mod: int, rm: int, wide: bool) -> bool:
    """Whether a SIB byte follows; ``wide`` means 32-bit addressing."""
    return wide and mod != 3 and rm == 4


def displacement_bytes(mod: int, rm: int, base: int, wide: bool) -> int:
    """The length of the displacement; ``base`` is that of the SIB byte, if there is one."""
    full = 4 if wide else 2
    if mod in (1, 2):
        return 1 if mod == 1 else full
    absolute = (rm == 5 or (rm == 4 and base == 5)) if wide else rm == 6
    return full if mod == 0 and absolute else 0


class Address:
    """What follows a ModRM byte: SIB and displacement. Absent ones read as zero."""

    names = ("scale", "index", "base", "disp", "has_sib")

    def __init__(self, order: ByteOrder):
        self.order = order

    def read(self, window: Window, at: int, env: dict[str, int]) -> int:
        mod, rm, wide = env["mod"], env["rm"], bool(env.get("addrsize", 1))
        sib = 0
        env["has_sib"] = int(has_sib(mod, rm, wide))
        if env["has_sib"]:
            sib = window[at]
            at += 1
        env["scale"], env["index"], env["base"] = sib >> 6, sib >> 3 & 7, sib & 7
        length = displacement_bytes(mod, rm, env["base"], wide)
        disp = window.number(at, length, self.order)
        env["disp"] = to_signed(disp, 8 * length) & 0xFFFFFFFF if length else 0
        return at + length

    def write(self, env: Mapping[str, int]) -> bytes:
        mod, rm, wide = env["mod"], env["rm"], bool(env.get("addrsize", 1))
        scale, index, base, disp, sib = (wanted(env, n, MODRM_FIELDS[n]) if n in env else 0 for n in self.names)
        needed = has_sib(mod, rm, wide)
        if "has_sib" in env and sib != needed:
            raise EncodeError(f"has_sib = {sib}, but mod {mod} and rm {rm} {'need a' if needed else 'leave no'} SIB byte")
        if not needed and (scale or index or base):
            raise EncodeError(f"scale, index and base must be 0: mod {mod} and rm {rm} leave no SIB byte")
        out = bytes([scale << 6 | index << 3 | base]) if needed else b""
        length = displacement_bytes(mod, rm, base, wide)
        number = to_signed(disp, 32)
        if not length:
            if disp:
                raise EncodeError(f"disp = {number:#x}, but mod {mod} and rm {rm} leave no displacement")
            return out
        if not -(1 << 8 * length - 1) <= number < 1 << 8 * length - 1:
            raise EncodeError(f"disp = {number:#x} does not fit in the {8 * length}-bit displacement of mod {mod}")
        return out + number.to_bytes(length, self.order, signed=True)


class Fields:
    """A byte made of fields."""

    def __init__(self, element: FieldByte):
        self.names = tuple(name for name, _ in element.fields)
        self.fields: list[tuple[str, int, int]] = []  # name, width, shift
        shift = 8
        for name, width in element.fields:
            shift -= width
            self.fields.append((name, width, shift))

    def read(self, window: Window, at: int, env: dict[str, int]) -> int:
        byte = window[at]
        for name, width, shift in self.fields:
            env[name] = byte >> shift & ((1 << width) - 1)
        return at + 1

    def write(self, env: Mapping[str, int]) -> bytes:
        return bytes([sum(wanted(env, name, width) << shift for name, width, shift in self.fields)])


class Number:
    """An immediate operand."""

    def __init__(self, element: Immediate, order: ByteOrder):
        self.field, self.width, self.order = element.field, element.width, order
        self.names = (element.field,)

    def read(self, window: Window, at: int, env: dict[str, int]) -> int:
        length = self.width // 8
        env[self.field] = window.number(at, length, self.order)
        return at + length

    def write(self, env: Mapping[str, int]) -> bytes:
        return wanted(env, self.field, self.width).to_bytes(self.width // 8, self.order)


def _agree(env: Mapping[str, int], fixed: Mapping[str, int]) -> None:
    for name, value in fixed.items():
        if env.get(name, value) != value:
            raise EncodeError(f"{name} = {env[name]:#x}, but this encoding fixes it to {value:#x}")


def elements(isa: Isa, form: Form) -> list[Element]:
    """The parts of a form's encoding, in the order of its bytes."""
    order: ByteOrder = "little" if isa.little else "big"
    if isinstance(form.encoding, FixedEncoding):
        return [Fixed(form.encoding, order)]
    out: list[Element] = []
    for element in form.encoding.elements:
        if isinstance(element, OpcodeByte):
            out.append(Opcode(element))
        elif isinstance(element, Immediate):
            out.append(Number(element, order))
        elif isinstance(element, FieldByte):
            out.append(Fields(element))
        else:
            out += [ModRMByte(element.digit), Address(order)]
    return out
