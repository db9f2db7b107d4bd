"""How an instruction looks in storage: fixed formats, and patterns of bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OpcodeByte:
    """One byte: ``value``, whose low three bits are the field ``field`` when given."""

    value: int
    field: str = ""


@dataclass(frozen=True, slots=True)
class ModRM:
    """A ModRM byte with SIB and displacement; ``digit`` fixes its reg field."""

    digit: int | None


@dataclass(frozen=True, slots=True)
class FieldByte:
    """One byte made of fields, from the most significant bit on, as (name, width)."""

    fields: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Immediate:
    """A field of ``width`` bits (whole bytes), in the ISA's byte order."""

    field: str
    width: int


Element = OpcodeByte | ModRM | FieldByte | Immediate


@dataclass(frozen=True, slots=True)
class Format:
    """A fixed format: fields from the most significant bit on, as (name, width)."""

    name: str
    fields: tuple[tuple[str, int], ...]

    @property
    def length(self) -> int:
        """Bytes."""
        return sum(w for _, w in self.fields) // 8


@dataclass(frozen=True, slots=True)
class FixedEncoding:
    format: Format
    values: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ByteEncoding:
    elements: tuple[Element, ...]


MODRM_FIELDS = {"mod": 2, "reg": 3, "rm": 3, "scale": 2, "index": 3, "base": 3, "disp": 32, "has_sib": 1}
