"""Whole programs in assembly: labels, data and the passes that settle their addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from isa_specs.assembler import Assembler, AssemblyError, LineError, assembler
from isa_specs.core import Isa
from isa_specs.diagnostics import Diagnostic, Span, nearest
from isa_specs.encoding import Contexts, decoder, state_contexts
from isa_specs.operands import OperandError, expression

MAX_PASSES = 40
MAX_BYTES = 1 << 24
_UNITS = {".byte": 1, ".half": 2, ".word": 4, ".quad": 8}
_DIRECTIVES = (*_UNITS, ".ascii", ".space", ".align", ".org")
_LABEL = re.compile(r"\s*([A-Za-z_.$][\w.$]*)\s*:(?!:)\s*")
_DEFINITION = re.compile(r"\s*([A-Za-z_$][\w.$]*)\s*=(?!=)\s*(.+)")
_COMMENT = re.compile(r"""((?:"(?:\\.|[^"\\])*"|'[^']'|[^"';#])*?)(?:[;#]|//|$)""")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", '"': '"'}


@dataclass(frozen=True, slots=True)
class Line:
    """What one source line became. ``number`` counts from 1."""

    number: int
    address: int
    data: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Program:
    """``bytes`` lie at ``origin``; ``labels`` are addresses and defined names."""

    origin: int
    bytes: bytes
    labels: Mapping[str, int]
    lines: tuple[Line, ...]

    def listing(self) -> str:
        """Address, bytes and text of each line."""
        return "\n".join(f"{line.address:08x}  {line.data[:8].hex():16}  {line.text}".rstrip() for line in self.lines)


@dataclass(frozen=True, slots=True)
class _Item:
    """A statement: the label in front of it, and its text."""

    number: int
    span: Span
    labels: tuple[str, ...]
    text: str


def assemble_program(isa: Isa, source: str, origin: int = 0, contexts: Contexts | None = None, file: str = "<assembly>") -> Program:
    """Assemble ``source`` for address ``origin``.

    Lines are ``label: instruction``, ``name = value`` or a directive: ``.byte .half .word .quad`` (1, 2, 4, 8 bytes each),
    ``.ascii "text"``, ``.space count, fill``, ``.align count``, ``.org address``. Comments start with ``;``, ``#`` or ``//``.
    ``contexts`` is needed where the encoding depends on the state. Raises :class:`AssemblyError` with all mistakes."""
    return _Assembly(isa, source, origin, contexts or no_state(isa), file).run()


def no_state(isa: Isa) -> Contexts:
    """Contexts for an ISA whose encodings do not depend on the state."""
    for name in isa.contexts:
        if name not in decoder(isa).layout.pure_contexts:
            raise ValueError(f"'contexts' must be given: {name} depends on the state of the machine")
    return state_contexts(isa, {})


class _Assembly:
    def __init__(self, isa: Isa, source: str, origin: int, contexts: Contexts, file: str):
        self.isa, self.origin, self.contexts = isa, origin, contexts
        self.assembler: Assembler = assembler(isa)
        self.errors: list[Diagnostic] = []
        self.symbols: dict[str, int] = {}
        self.items = list(self._items(source, file))
        self.lengths = [0] * len(self.items)

    def _items(self, source: str, file: str) -> Iterator[_Item]:
        for number, raw in enumerate(source.splitlines(), 1):
            found = _COMMENT.match(raw)
            text = (found[1] if found else raw).rstrip()
            labels = []
            while label := _LABEL.match(text):
                labels.append(label[1])
                text = text[label.end() :]
            span = Span(file, number, len(raw) - len(raw.lstrip()) + 1, number, max(2, len(raw.rstrip()) + 1))
            definition = _DEFINITION.fullmatch(text) if not self._is_prefix(text) else None
            for name in [*labels, *([definition[1]] if definition else [])]:
                if name in self.symbols:
                    self.errors.append(Diagnostic("AS006", f"'{name}' is defined twice", span))
                elif name.casefold() in self.assembler.registers:
                    self.errors.append(Diagnostic("AS006", f"'{name}' is the name of a register", span, "choose another label"))
                self.symbols[name] = self.origin
            if labels or text.strip():
                yield _Item(number, span, tuple(labels), text.strip())

    def _is_prefix(self, text: str) -> bool:
        return text.strip().partition("=")[0].strip() in self.isa.prefixes

    def run(self) -> Program:
        for _ in range(MAX_PASSES):
            before = dict(self.symbols)
            errors, lines = self._pass()
            # Lines only ever grow, so the passes come to an end; mistakes count once the addresses are right.
            if self.errors or self.symbols == before:
                break
        else:
            raise AssemblyError(Diagnostic("AS007", "the addresses do not settle", self.items[-1].span))
        if self.errors or errors:
            raise AssemblyError(*sorted([*self.errors, *errors], key=lambda d: d.span.line))
        data = b"".join(line.data for line in lines)
        return Program(self.origin, data, dict(self.symbols), tuple(lines))

    def _pass(self) -> tuple[list[Diagnostic], list[Line]]:
        errors, lines = [], []
        address = self.origin
        for i, item in enumerate(self.items):
            for label in item.labels:
                self.symbols[label] = address
            data = b""
            try:
                data = self._item(item, address, i)
            except LineError as error:
                errors.append(error.at(item.span))
            except OperandError as error:
                errors.append(LineError("AS003", str(error)).at(item.span))
            lines.append(Line(item.number, address, data, item.text))
            address += len(data)
            if address - self.origin > MAX_BYTES:
                errors.append(LineError("AS007", f"the program is longer than {MAX_BYTES} bytes").at(item.span))
                break
        return errors, lines

    def _item(self, item: _Item, address: int, i: int) -> bytes:
        symbols = {**self.symbols, ".": address}
        definition = _DEFINITION.fullmatch(item.text) if not self._is_prefix(item.text) else None
        if definition:
            self.symbols[definition[1]] = expression(definition[2], symbols)
            return b""
        if not item.text:
            return b""
        if item.text.startswith("."):
            return self._directive(item.text, address, symbols)
        data = self.assembler.assemble(item.text, address, self.contexts, symbols, self.lengths[i])
        self.lengths[i] = len(data)
        return data

    def _directive(self, text: str, address: int, symbols: dict[str, int]) -> bytes:
        name, _, rest = text.partition(" ")
        name = name.casefold()
        if name not in _DIRECTIVES:
            raise LineError("AS001", f"unknown directive '{name}'", nearest(name, _DIRECTIVES))
        if name == ".ascii":
            return _string(rest.strip())
        values = [expression(part, symbols) for part in rest.split(",")]
        if name in _UNITS:
            return b"".join(self._unit(value, _UNITS[name]) for value in values)
        first, fill = values[0], values[1] if len(values) > 1 else 0
        if len(values) > 2 or not 0 <= fill < 256:
            raise LineError("AS005", f"{name} takes a number and a byte to fill with")
        count = {".space": first, ".align": -address % max(first, 1), ".org": first - address}[name]
        if count < 0:
            raise LineError("AS007", f".org {first:#x} lies before {address:#x}" if name == ".org" else "a negative count")
        if count > MAX_BYTES:
            raise LineError("AS007", f"the program is longer than {MAX_BYTES} bytes")
        return bytes([fill]) * count

    def _unit(self, value: int, size: int) -> bytes:
        if not -(1 << 8 * size - 1) <= value < 1 << 8 * size:
            raise LineError("AS003", f"{value:#x} does not fit in {size} bytes")
        return (value & ((1 << 8 * size) - 1)).to_bytes(size, "little" if self.isa.little else "big")


def _string(text: str) -> bytes:
    if not re.fullmatch(r'"(?:\\.|[^"\\])*"', text):
        raise LineError("AS005", ".ascii takes a text in double quotes")
    out = re.sub(r"\\(x[0-9A-Fa-f]{2}|.)", lambda m: chr(int(m[1][1:], 16)) if len(m[1]) == 3 else _ESCAPES.get(m[1], m[1]), text[1:-1])
    try:
        return out.encode("latin-1")
    except UnicodeEncodeError:
        raise LineError("AS005", ".ascii takes characters of one byte only") from None


__all__ = ["Line", "Program", "assemble_program", "no_state"]
