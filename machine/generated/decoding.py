"""The decoder as generated code: prefixes, contexts, the tree of first bytes, then each form's own test.

It does what :class:`isa_specs.encoding.Decoder` does, byte for byte: a byte is fetched only when all before it fit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from isa_specs.core import FixedEncoding, Form
from isa_specs.elements import MAX_LENGTH, Address, Element, Fixed, ModRMByte, Number, Opcode
from isa_specs.encoding import Codec, decoder
from isa_specs.evaluate import conjuncts, field_names
from machine.generated.bodies import Body
from machine.generated.layout import NotGenerated, literal, mask, plain_name
from machine.generated.names import Code, Role
from machine.generated.slots import WORDS

if TYPE_CHECKING:
    from isa_specs.encoding import Trie
    from machine.generated.emit import Unit

MAX_WORDS = 3


class Packing:
    """Where a form's decoded fields stand in its words: those its body uses and its encoding leaves open."""

    def __init__(self, unit: Unit, form: Form):
        isa = unit.isa
        used = unit.analysis.body(form.body).fields - {"ilen", "next"}
        self.constants: dict[str, int] = {}
        widths = {prefix.name: prefix.width for prefix in isa.prefixes.values()}
        widths |= {name: expr.width for name, expr in isa.contexts.items()}
        widths |= form.fields
        if isinstance(form.encoding, FixedEncoding):
            self.constants |= dict(form.encoding.values)
            if isa.prefixes:
                self.constants |= {prefix.name: 0 for prefix in isa.prefixes.values()}
        for element in decoder(isa).codec(form).steps:
            if isinstance(element[0], ModRMByte) and element[0].digit is not None:
                self.constants["reg"] = element[0].digit
        self.places: dict[str, tuple[int, int, int]] = {}  # word, shift, width
        free = [64] * MAX_WORDS
        for name in sorted(used - self.constants.keys(), key=lambda name: (-widths[name], name)):
            width = widths[name]
            word = next((i for i, left in enumerate(free) if left >= width), None)
            if word is None:
                raise NotGenerated(f"the fields of {form.instruction} are too wide for generated code")
            self.places[name] = word, 64 - free[word], width
            free[word] -= width
        self.names = {name: f"d_{i}_{plain_name(name)}" for i, name in enumerate(sorted(used))}

    def unpacking(self) -> list[str]:
        lines = [f"{name} = {self.constants[field]}" for field, name in self.names.items() if field not in self.places]
        for field, (word, shift, width) in self.places.items():
            text = f"w{word}" if not shift else f"LSHR(w{word}, {shift}, 64)"
            lines.append(f"{self.names[field]} = {text}" + (f" & {mask(width)}" if shift + width < 64 else ""))
        return lines

    def packed(self, values: dict[str, str]) -> list[str]:
        words: dict[int, list[str]] = {}
        for field, (word, shift, _) in self.places.items():
            words.setdefault(word, []).append(f"{values[field]} << {shift}" if shift else values[field])
        return [f"ST(s + {WORDS + 8 * word}, {' | '.join(texts)})" for word, texts in sorted(words.items())]


class Decoding:
    """Writes the decoder of one module."""

    def __init__(self, unit: Unit):
        self.unit, self.isa = unit, unit.isa
        self.decoder = decoder(unit.isa)
        self.packings = {form: Packing(unit, form) for form in unit.isa.forms}
        self.numbers = {form: number for number, form in enumerate(unit.isa.forms)}
        self.known: dict[str, str] = {}  # prefixes and contexts -> the word of the record they are in
        for i, name in enumerate([*self.isa.prefixes, *self.isa.contexts]):
            constant = f"k{i}_{plain_name(name)}"
            unit.layout.constants[constant] = unit.layout.take()
            self.known[name] = f"LD(s + {constant})"
        self._nodes: dict[int, str] = {}
        self._matches: set[Form] = set()

    def slot(self, name: str) -> str:
        return self.known[name][3:-1]

    def write(self) -> None:
        self._contexts()
        self._fetch()
        tree = self._node(self.decoder.trie)
        code = Code()
        code("@outline\ndef decode(s):")
        code.depth += 1
        code('"""FORM, LENGTH and WORDS of the instruction whose bytes are fetched or named; a trap when the fetch is refused."""')
        code("ST(s + DECODES, LD(s + DECODES) + 1)")
        code(f"ST(s + FORM, {len(self.isa.forms)})")
        code("at = 0")
        if self.isa.prefixes:
            self._prefixes(code)
        if self.isa.contexts:
            code("t = contexts(s)")
            if self.traps:
                code("if t < 0:")
                code("    return t")
        code(f"t = {tree}(s, at, at)")
        code(f"if t < 0 and t != {self.unit.too_long}:")
        code("    return t")
        code("return 0")
        self.unit.add(code.text)

    def _prefixes(self, code: Code) -> None:
        for i, prefix in enumerate(self.isa.prefixes.values()):
            code(f"ST({self.slot(prefix.name)}, 0)")
            code(f"seen{i} = 0")
        code("going = 1")
        code("while going == 1:")
        code.depth += 1
        code("b = byte(s, at)")
        code("if b < 0:")
        code(f"    if b == {self.unit.too_long}:")
        code("        return 0")
        code("    return b")
        code("going = 0")
        groups = {name: i for i, name in enumerate(self.isa.prefixes)}
        for byte, (name, value) in self.decoder._prefix_bytes.items():
            code(f"if b == {byte:#x} and seen{groups[name]} == 0:")
            code(f"    ST({self.slot(name)}, {value})")
            code(f"    seen{groups[name]} = 1")
            code("    going = 1")
            # One byte belongs to one group only, so that no second test of this round can fit.
        code("at += going")
        code.depth -= 1

    def _contexts(self) -> None:
        self.traps = False
        if not self.isa.contexts:
            return
        fields = {name: self.known[name] for name in [*self.isa.prefixes, *self.isa.contexts]}
        body = Body(self.unit, False, Role.CONTEXT, fields)
        body.code("@outline\ndef contexts(s):")
        body.code.depth += 1
        for name, expr in self.isa.contexts.items():
            self.traps |= self.unit.analysis.expression(expr).traps
            text = body.value(expr)
            body.code(f"ST({self.slot(name)}, {text})")
        body.code("return 0")
        self.unit.add(body.code.text)

    def _fetch(self) -> None:
        counter = self.isa.counter
        name, traps = self.unit.fetch()
        code = Code()
        code("@outline\ndef byte(s, i):")
        code.depth += 1
        code('"""Byte i of the instruction, fetched with all before it if need be."""')
        code("n = LD(s + KNOWN)")
        code("while n <= i:")
        code.depth += 1
        code(f"if n == {MAX_LENGTH}:")
        code(f"    return {self.unit.too_long}")
        code(f"b = {name}(s, LD(s + {self.unit.layout.cells[counter.name].name}) + n & {mask(counter.width)})")
        if traps:
            code("if b < 0:")
            code("    return b")
        code("ST(s + BYTES + 8 * n, b)")
        code("n += 1")
        code("ST(s + KNOWN, n)")
        code.depth -= 1
        code("return LD(s + BYTES + 8 * i)")
        self.unit.add(code.text)

    # ---- the tree ----------------------------------------------------------------------------

    def _node(self, node: Trie) -> str:
        """Name of ``f(s, at, depth)``: 1 when a form was found, 0 when none fits, or a trap."""
        if id(node) in self._nodes:
            return self._nodes[id(node)]
        name = self._nodes[id(node)] = f"n{len(self._nodes)}"
        code = Code()
        code(f"def {name}(s, at, depth):")
        code.depth += 1
        if isinstance(node, list):
            arms: dict[str, list[int]] = {}
            for number, child in enumerate(node):
                if child:  # an empty leaf fits nothing
                    arms.setdefault(self._node(child), []).append(number)
            code("b = byte(s, depth)")
            code("if b < 0:")
            code("    return b")
            self._branches(code, arms)
            code("return 0")
        else:
            for codec in node:
                match = self._match(codec)
                condition = "" if codec.takes_prefixes or not self.isa.prefixes else "at == 0"
                if condition:
                    code(f"if {condition}:")
                    code.depth += 1
                code(f"t = {match}(s, at)")
                code("if t != 0:")
                code("    return t")
                if condition:
                    code.depth -= 1
            code("return 0")
        self.unit.add(code.text)
        return name

    @staticmethod
    def _branches(code: Code, arms: dict[str, list[int]]) -> None:
        most = max(arms, key=lambda name: len(arms[name]), default="")
        shared = most if most and len(arms[most]) > 64 else ""
        word = "if"
        for name, numbers in arms.items():
            if name != shared:
                for number in numbers:
                    code(f"{word} b == {number}:")
                    code(f"    return {name}(s, at, depth + 1)")
                    word = "elif"
        if shared:
            rest = set(range(256)) - {number for numbers in arms.values() for number in numbers}
            for number in sorted(rest):
                code(f"{word} b == {number}:")
                code("    return 0")
                word = "elif"
            code(f"return {shared}(s, at, depth + 1)")

    # ---- one form ------------------------------------------------------------------------------

    def _match(self, codec: Codec) -> str:
        form = codec.form
        name = f"match{self.numbers[form]}"
        if form in self._matches:
            return name
        self._matches.add(form)
        code, values = Code(), dict(self.known)
        code(f"def {name}(s, at):")
        code.depth += 1
        remaining = [(part, field_names(part)) for part in conjuncts(form.where)]
        known = set(values)
        remaining = self._conditions(code, remaining, known, values)
        for i, (element, _) in enumerate(codec.steps):
            self._element(code, element, i, values)
            known.update(element.names)
            remaining = self._conditions(code, remaining, known, values)
        code(f"ST(s + FORM, {self.numbers[form]})")
        code("ST(s + LENGTH, at)")
        for line in self.packings[form].packed(values):
            code(line)
        code("return 1")
        self.unit.add(code.text)
        return name

    def _conditions(self, code: Code, remaining, known: set[str], values: dict[str, str]):  # type: ignore[no-untyped-def]
        """Test what can be tested; what is left."""
        left = []
        for part, names in remaining:
            if not names <= known:
                left.append((part, names))
                continue
            body = Body(self.unit, False, Role.CONTEXT, values)
            body.code, body._temporaries = code, 100 * len(code.lines)
            code(f"if not ({body.condition(part)}):")
            code("    return 0")
        return left

    def _byte(self, code: Code, name: str) -> None:
        code(f"{name} = byte(s, at)")
        code(f"if {name} < 0:")
        code(f"    return {name}")
        code("at += 1")

    def _number(self, code: Code, name: str, length: int) -> None:
        """``length`` bytes from ``at`` on as a number, in the order of the description."""
        code(f"{name} = 0")
        for i in range(length):
            self._byte(code, f"{name}_b")
            if self.isa.little:
                code(f"{name} |= {name}_b << {8 * i}")
            else:
                code(f"{name} = {name} << 8 | {name}_b")

    def _element(self, code: Code, element: Element, number: int, values: dict[str, str]) -> None:
        match element:
            case Fixed():
                self._fixed(code, element, number, values)
            case Opcode():
                self._byte(code, f"o{number}")
                if element.field:
                    code(f"if (o{number} ^ {element.value:#x}) & 0xF8 != 0:")
                    values[element.field] = f"(o{number} & 7)"
                else:
                    code(f"if o{number} != {element.value:#x}:")
                code("    return 0")
            case ModRMByte():
                self._byte(code, f"o{number}")
                if element.digit is not None:
                    code(f"if o{number} >> 3 & 7 != {element.digit}:")
                    code("    return 0")
                values |= {"mod": f"(o{number} >> 6)", "reg": f"(o{number} >> 3 & 7)", "rm": f"(o{number} & 7)"}
            case Address():
                self._address(code, values)
            case Number():
                self._number(code, f"i{number}", element.width // 8)
                values[element.field] = f"i{number}"
            case _:
                raise NotGenerated(f"an encoding with {type(element).__name__}")

    def _fixed(self, code: Code, element: Fixed, number: int, values: dict[str, str]) -> None:
        if element.length > 8:
            raise NotGenerated("a format of more than 8 bytes")
        names = []
        for i, (bits, value) in enumerate(element._fixed):
            names.append(f"o{number}_{i}")
            self._byte(code, names[-1])
            if bits:
                test = names[-1] if bits == 255 else f"{names[-1]} & {bits:#x}"
                code(f"if {test} != {value & bits:#x}:")
                code("    return 0")
        order = names if self.isa.little else names[::-1]
        code(f"o{number} = {' | '.join(f'{name} << {8 * i}' if i else name for i, name in enumerate(order))}")
        values |= {name: literal(value, 64) for name, value in element.values.items()}
        for name, width, shift in element.free:
            values[name] = f"(LSHR(o{number}, {shift}, 64) & {mask(width)})"

    def _address(self, code: Code, values: dict[str, str]) -> None:
        """SIB and displacement, as :class:`isa_specs.elements.Address` reads them."""
        wide = values.get("addrsize", "1")
        code(f"mod = {values['mod']}")
        code(f"rm = {values['rm']}")
        code(f"wide = int({wide} != 0)")
        code("sib = 0")
        code("has = int(wide == 1 and mod != 3 and rm == 4)")
        code("if has == 1:")
        code.depth += 1
        self._byte(code, "sib")
        code.depth -= 1
        code("absolute = int(rm == 6)")
        code("full = 2")
        code("if wide == 1:")
        code("    absolute = int(rm == 5 or (rm == 4 and sib & 7 == 5))")
        code("    full = 4")
        code("length = 0")
        code("if mod == 1:")
        code("    length = 1")
        code("if mod == 2 or (mod == 0 and absolute == 1):")
        code("    length = full")
        code("disp = 0")
        code("for i in range(0, length):")
        code.depth += 1
        self._byte(code, "part")
        code("disp = disp | part << 8 * i" if self.isa.little else "disp = disp << 8 | part")
        code.depth -= 1
        code("if length > 0:")
        code("    half = 1 << 8 * length - 1")
        code("    disp = (disp ^ half) - half & 0xFFFFFFFF")
        values |= {"scale": "(sib >> 6)", "index": "(sib >> 3 & 7)", "base": "(sib & 7)", "disp": "disp", "has_sib": "has"}


def first_bytes(lengths: dict[int, int]) -> Iterable[tuple[int, int]]:
    """For each first byte the length that bytes beginning so count as when they are no instruction."""
    for byte in range(256):
        yield byte, lengths[min(lengths, key=lambda first: first ^ byte)]
