"""The ModRM operand in assembly text: a register, or an address in brackets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from isa_specs.operands import Name, OperandError, Reading, Symbols, expression, number_text, word_number
from isa_specs.ops import to_signed

_PAIRS = ((3, 6), (3, 7), (5, 6), (5, 7), (None, 6), (None, 7), (5, None), (3, None))  # 16-bit base and index: SDM table 2-1
_ESP, _EBP = 4, 5


@dataclass(frozen=True, slots=True)
class ModRMOperand:
    """``{rm:NAMES}``: a register, or ``SIZE [segment:base+index*scale+disp]``.

    ``wide`` and ``narrow`` are the words of the 32-bit and 16-bit address registers."""

    words: tuple[str, ...]
    size: str
    wide: tuple[str, ...]
    narrow: tuple[str, ...]
    segments: tuple[str, ...]
    pattern: str = r"\w+|(?:[A-Za-z_]\w*\s*)?\[[^\[\]]*\]"

    def show(self, env: Mapping[str, int], following: int) -> str:
        if env["mod"] == 3:
            return Name("rm", 3, self.words).show(env, following)
        segment = env.get("segment", 0)
        prefix = f"{self.segments[segment]}:" if segment and segment < len(self.segments) else ""
        parts, bits = (self._wide(env), 32) if env.get("addrsize", 1) else (self._narrow(env), 16)
        disp = to_signed(env["disp"], 32)
        if not parts:
            parts = number_text(disp & ((1 << bits) - 1))
        elif disp:
            parts += ("+" if disp > 0 else "") + number_text(disp)
        return f"{self.size} [{prefix}{parts}]".lstrip()

    def _wide(self, env: Mapping[str, int]) -> str:
        mod, rm = env["mod"], env["rm"]
        if not env["has_sib"]:
            return "" if mod == 0 and rm == _EBP else self.wide[rm]
        base = "" if mod == 0 and env["base"] == _EBP else self.wide[env["base"]]
        if env["index"] == _ESP:
            return base
        scale = 1 << env["scale"]
        times = f"*{scale}" if scale > 1 or not base else ""
        return f"{base}+{self.wide[env['index']]}{times}".lstrip("+")

    def _narrow(self, env: Mapping[str, int]) -> str:
        if env["mod"] == 0 and env["rm"] == 6:
            return ""
        return "+".join(self.narrow[part] for part in _PAIRS[env["rm"]] if part is not None)

    def read(self, text: str, symbols: Symbols) -> list[Reading]:
        keyword, bracket, inside = text.partition("[")
        keyword = keyword.strip()
        if not bracket:
            return [Reading({"mod": 3, **Name("rm", 3, self.words).read(text, symbols)[0].fields})]
        if keyword.casefold() not in ("", self.size.casefold()):
            raise OperandError(f"the operand is a {self.size or 'plain memory'} operand, not a {keyword}")
        assumed = self.size if not keyword else ""
        segment, colon, rest = inside.rstrip("] ").rpartition(":")
        extra: dict[str, int] = {}
        if colon:
            number = word_number(self.segments, segment.strip())
            if number is None:
                raise OperandError(f"'{segment.strip()}' is no segment register")
            extra["segment"] = number
        return self._address(rest, symbols, extra, assumed)

    def _address(self, text: str, symbols: Symbols, extra: dict[str, int], assumed: str) -> list[Reading]:
        registers: list[tuple[str, int]] = []
        numbers = ""
        for sign, term in re.findall(r"([+-]?)\s*([^+-]+)", text):
            word, star, scale = (part.strip() for part in term.partition("*"))
            if star and word.isdigit():
                word, scale = scale, word
            if word_number(self.wide, word) is None and word_number(self.narrow, word) is None:
                numbers += (sign or "+") + term
            elif sign == "-" or (star and scale not in ("1", "2", "4", "8")):
                raise OperandError(f"'{sign}{term.strip()}' cannot be part of an address", 2)
            else:
                registers.append((word, int(scale or 0)))
        disp = expression(numbers, symbols) if numbers else 0
        out = []
        problem = OperandError(f"'[{text.strip()}]' is not an address the processor can form", 2)
        for size, words, shapes in ((1, self.wide, _wide_shapes), (0, self.narrow, _narrow_shapes)):
            known = [(number, scale) for word, scale in registers if (number := word_number(words, word)) is not None]
            if len(known) == len(registers):
                try:
                    out += [Reading({**fields, **extra}, None, assumed, size) for fields in shapes(known, disp)]
                except OperandError as error:
                    problem = error
        if not out:
            raise problem
        return out


def _wide_shapes(registers: list[tuple[int, int]], disp: int) -> list[dict[str, int]]:
    bare = [r for r, scale in registers if not scale]
    scaled = [(r, scale) for r, scale in registers if scale]
    if len(registers) > 2 or len(scaled) > 1:
        return []
    base = bare[0] if bare else None
    index, scale = scaled[0] if scaled else (bare[1], 1) if len(bare) > 1 else (None, 1)
    if index == _ESP:
        return []
    if base is None and index is None:
        return _displaced({"mod": 0, "rm": _EBP}, disp, 32, (0,))
    sib: dict[str, int] = {}
    if index is not None or base == _ESP:
        sib = {"scale": scale.bit_length() - 1, "index": _ESP if index is None else index, "base": _EBP if base is None else base}
    fields = {"rm": 4 if sib else base or 0, **sib}
    if base is None:
        return _displaced({"mod": 0, **fields}, disp, 32, (0,))
    return _displaced(fields, disp, 32, (1, 2) if base == _EBP or disp else (0, 1, 2))


def _narrow_shapes(registers: list[tuple[int, int]], disp: int) -> list[dict[str, int]]:
    parts = sorted(r for r, _ in registers)
    if any(scale > 1 for _, scale in registers):
        return []
    if not parts:
        return _displaced({"mod": 0, "rm": 6}, disp, 16, (0,))
    rm = next((i for i, pair in enumerate(_PAIRS) if sorted(r for r in pair if r is not None) == parts), None)
    if rm is None:
        return []
    return _displaced({"rm": rm}, disp, 16, (1, 2) if rm == 6 or disp else (0, 1, 2))


def _displaced(fields: dict[str, int], disp: int, bits: int, mods: tuple[int, ...]) -> list[dict[str, int]]:
    """One choice of fields for each mod whose displacement can hold ``disp``."""
    if not -(1 << bits) < disp < 1 << bits:
        raise OperandError(f"{number_text(disp)} does not fit in {bits} bits", 3)
    near = to_signed(disp & ((1 << bits) - 1), bits)
    return [{"scale": 0, "index": 0, "base": 0, "mod": mod, **fields, "disp": near & 0xFFFFFFFF}
            for mod in mods if mod != 1 or -0x80 <= near < 0x80]
