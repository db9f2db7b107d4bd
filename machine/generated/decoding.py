"""Tables for the decoder of generated code (:mod:`decoder_runtime`), and the little of it that is code: fetch, prefixes,
contexts and the conditions of encodings.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from isa_specs.core import MODRM_FIELDS, Expr, FixedEncoding, Form, Isa, ModRM
from isa_specs.elements import Address, Element, Fields, Fixed, ModRMByte, Number, Opcode
from isa_specs.encoding import Codec, decoder
from isa_specs.evaluate import conjuncts, field_names
from machine.generated.layout import NotGenerated, mask, plain_name
from machine.generated.names import Code, Role
from machine.generated.slots import ADDRESS, ALONE, END, JOIN, KEEP, LITERAL, NUMBER, PACK, TEST, WHERE

if TYPE_CHECKING:
    from isa_specs.encoding import Trie
    from machine.generated.emit import Unit

MAX_WORDS = 3  # of packed fields
Operation = tuple[int, int, int, int]


Place = tuple[int, int, int]  # word, shift, width
AMBIENT = ("ilen", "next")


def shared_places(unit: Unit) -> dict[str, Place]:
    """The fields that functions use stand in the same place for every form: then functions need the words alone."""
    used: set[str] = set()
    for form in unit.isa.forms:
        for function in unit.called_by(form.body):
            used |= unit.analysis.function(function).fields
    widths: dict[str, int] = {}
    for form in unit.isa.forms:
        for name, width in all_fields(unit.isa, form).items():
            if name in used:
                widths[name] = max(width, widths.get(name, 0))
    return placed(widths, [64] * MAX_WORDS, "functions")


def all_fields(isa: Isa, form: Form) -> dict[str, int]:
    """The width of every field the body of a form may look at."""
    widths = {prefix.name: prefix.width for prefix in isa.prefixes.values()}
    widths |= {name: expr.width for name, expr in isa.contexts.items()}
    if isinstance(form.encoding, FixedEncoding):
        widths |= {name: width for name, width in form.encoding.format.fields if name != "_"}
    elif any(isinstance(element, ModRM) for element in form.encoding.elements):
        widths |= MODRM_FIELDS
    return widths | form.fields


def placed(widths: dict[str, int], free: list[int], what: str) -> dict[str, Place]:
    """Places in words of which so many bits are still ``free``."""
    places: dict[str, Place] = {}
    for name in sorted(widths, key=lambda name: (-widths[name], name)):
        word = next((i for i, left in enumerate(free) if left >= widths[name]), None)
        if word is None:
            raise NotGenerated(f"the fields of {what} are too wide for generated code")
        places[name] = word, 64 - free[word], widths[name]
        free[word] -= widths[name]
    return places


def unpacked(name: str, place: Place) -> str:
    """A line that gives a field its name."""
    word, shift, width = place
    text = f"w{word}" if not shift else f"LSHR(w{word}, {shift}, 64)"
    return f"{name} = {text}" + (f" & {mask(width)}" if shift + width < 64 else "")


class Packing:
    """Where a form's decoded fields stand in its words: those its body uses and its encoding leaves open."""

    def __init__(self, unit: Unit, form: Form, shared: dict[str, Place]):
        isa = unit.isa
        used = unit.direct_fields(form.body) - {*AMBIENT}
        inside = unit.analysis.body(form.body).fields - {*AMBIENT}
        self.constants: dict[str, int] = {}
        if isinstance(form.encoding, FixedEncoding):
            self.constants |= dict(form.encoding.values)
            self.constants |= {prefix.name: 0 for prefix in isa.prefixes.values()}  # it takes none
        for element, _ in decoder(isa).codec(form).steps:
            if isinstance(element, ModRMByte) and element.digit is not None:
                self.constants["reg"] = element.digit
        self.places = {name: place for name, place in shared.items() if name in inside}
        free = [64] * MAX_WORDS
        for word, shift, width in shared.values() if self.places else ():
            free[word] = min(free[word], 64 - shift - width)
        widths = all_fields(isa, form)
        own = {name: widths[name] for name in used if name not in self.places and name not in self.constants}
        self.places |= placed(own, free, form.instruction)
        self.names = {name: f"d{i}_{plain_name(name)}" for i, name in enumerate(sorted(used))}

    def unpacking(self) -> list[str]:
        """Lines that give the fields their names."""
        return [f"{name} = {self.constants[field]}" if field in self.constants else unpacked(name, self.places[field])
                for field, name in self.names.items()]


class Decoding:
    """The decoder of one description. ``nodes``, ``leaves`` and ``programs`` are its tables, in words."""

    def __init__(self, unit: Unit):
        self.unit, self.isa = unit, unit.isa
        self.decoder = decoder(unit.isa)
        self.shared = shared_places(unit)
        self.packings = {form: Packing(unit, form, self.shared) for form in unit.isa.forms}
        self.fields: dict[str, str] = {}  # the constant that places a field in the record
        self._wheres: dict[str, int] = {}
        self.nodes: list[int] = [0]
        self.leaves: list[int] = []
        self.programs: list[int] = []

    def field(self, name: str) -> str:
        """The word of the record that holds a field while its instruction is decoded."""
        if name not in self.fields:
            constant = self.fields[name] = f"k{len(self.fields)}_{plain_name(name)}"
            self.unit.layout.constants[constant] = self.unit.layout.take()
        return self.fields[name]

    def offset(self, name: str) -> int:
        return self.unit.layout.constants[self.field(name)]

    def write(self) -> None:
        constants = self.unit.layout.constants
        for name in MODRM_FIELDS:
            constants[f"F_{name.upper()}"] = self.offset(name)
        constants["F_WIDE"] = self.offset("addrsize") if "addrsize" in self.isa.contexts or "addrsize" in self.isa.prefixes else -1
        counter = self.isa.counter
        constants |= {"TOO_LONG": self.unit.too_long, "NO_FORM": len(self.isa.forms), "LITTLE": int(self.isa.little),
                      "COUNTER": self.unit.layout.cells[counter.name].offset, "COUNTER_MASK": (1 << counter.width) - 1}
        self._starts: dict[Form, int] = {}
        self.nodes[0] = self._node(self.decoder.trie, {})
        self._fetch()
        self._contexts()
        self._fits()

    def _fetch(self) -> None:
        name, _ = self.unit.fetch()
        self.unit.add(f"def fetch_byte(s, a):\n    return {name}(s, a)\n")

    def write_prefixes(self) -> str:
        """The function ``prefixes``; it calls ``byte``, so that it stands behind that."""
        code = Code()
        code("@outline\ndef prefixes(s):")
        code.depth += 1
        code('"""Each group of prefixes at most once, in any order; how many bytes they are."""')
        code("at = 0")
        if not self.isa.prefixes:
            code("return at")
            return code.text
        for i, prefix in enumerate(self.isa.prefixes.values()):
            code(f"ST(s + {self.field(prefix.name)}, 0)")
            code(f"seen{i} = 0")
        code("going = 1")
        code("while going == 1:")
        code.depth += 1
        code("b = byte(s, at)")
        code("if b < 0:")
        code("    return b")
        code("going = 0")
        groups = {name: i for i, name in enumerate(self.isa.prefixes)}
        # One byte belongs to one group only, so that no second test of a round can fit.
        for byte, (name, value) in self.decoder._prefix_bytes.items():
            code(f"if b == {byte:#x} and seen{groups[name]} == 0:")
            code(f"    ST(s + {self.field(name)}, {value})")
            code(f"    seen{groups[name]} = 1")
            code("    going = 1")
        code("at += going")
        code.depth -= 1
        code("return at")
        return code.text

    def _contexts(self) -> None:
        fields = {name: f"LD(s + {self.field(name)})" for name in [*self.isa.prefixes, *self.isa.contexts]}
        body = self.unit.body(Role.CONTEXT, fields)
        body.code("@outline\ndef contexts(s):")
        body.code.depth += 1
        for name, expr in self.isa.contexts.items():
            text = body.value(expr)
            body.code(f"ST(s + {self.field(name)}, {text})")
        body.code("return 0")
        self.unit.add(body.code.text)

    def _fits(self) -> None:
        code = Code()
        code("@outline\ndef fits(s, number):")
        code.depth += 1
        code('"""Conditions of the encodings, on the fields decoded so far."""')
        for text, number in self._wheres.items():
            code(f"{'elif' if number else 'if'} number == {number}:")
            code.lines += ["        " + line for line in text.split("\n")]
        code("return 0")
        self.unit.add(code.text)

    def _where(self, part: Expr) -> int:
        fields = {name: f"LD(s + {self.field(name)})" for name in field_names(part)}
        body = self.unit.body(Role.CONTEXT, fields)
        body.code(f"return int({body.condition(part)})")
        return self._wheres.setdefault(body.code.text.rstrip("\n"), len(self._wheres))

    # ---- tables ------------------------------------------------------------------------------

    def _node(self, node: Trie, done: dict[int, int]) -> int:
        """The word for a node: even, half of it where its 256 words begin; odd, half of it where a leaf does; 0 for an empty leaf."""
        if id(node) not in done:
            if isinstance(node, list):
                children = {id(child): self._node(child, done) for child in {id(child): child for child in node}.values()}
                done[id(node)] = 2 * len(self.nodes)
                self.nodes += [children[id(child)] for child in node]
            elif not node:
                done[id(node)] = 0
            else:
                starts = [self._program(codec) for codec in node]
                done[id(node)] = 2 * len(self.leaves) + 1
                self.leaves += [*starts, -1]
        return done[id(node)]

    def _program(self, codec: Codec) -> int:
        form = codec.form
        if form in self._starts:
            return self._starts[form]
        out: list[Operation] = []
        if self.isa.prefixes and not codec.takes_prefixes:
            out.append((ALONE, 0, 0, 0))
        remaining = [(part, field_names(part)) for part in conjuncts(form.where)]
        known = {*self.isa.prefixes, *self.isa.contexts}
        remaining = self._conditions(out, remaining, known)
        for element, _ in codec.steps:
            self._element(out, element)
            known.update(element.names)
            remaining = self._conditions(out, remaining, known)
        out += [(PACK, self.offset(name), word, shift) for name, (word, shift, _) in self.packings[form].places.items()]
        out.append((END, self.isa.forms.index(form), 0, 0))
        self._starts[form] = 8 * len(self.programs)
        self.programs += [word for operation in out for word in operation]
        return self._starts[form]

    def _conditions(self, out: list[Operation], remaining: list[tuple[Expr, set[str]]], known: set[str]) -> list[tuple[Expr, set[str]]]:
        """Test what can be tested; what is left."""
        out += [(WHERE, self._where(part), 0, 0) for part, names in remaining if names <= known]
        return [(part, names) for part, names in remaining if not names <= known]

    def _element(self, out: list[Operation], element: Element) -> None:
        match element:
            case Fixed():
                if element.length > 8:
                    raise NotGenerated("a format of more than 8 bytes")
                out += [(TEST, bits, value, 0) for bits, value in element._fixed]
                out.append((JOIN, element.length, 0, 0))
                out += [(LITERAL, self.offset(name), value, 0) for name, value in element.values.items()]
                out += [(KEEP, self.offset(name), shift, (1 << width) - 1) for name, width, shift in element.free]
            case Opcode():
                out.append((TEST, 0xF8 if element.field else 0xFF, element.value, 0))
                if element.field:
                    out.append((KEEP, self.offset(element.field), 0, 7))
            case ModRMByte():
                digit = element.digit
                out.append((TEST, 0, 0, 0) if digit is None else (TEST, 0x38, digit << 3, 0))
                out += [(KEEP, self.offset("mod"), 6, 3), (KEEP, self.offset("reg"), 3, 7), (KEEP, self.offset("rm"), 0, 7)]
            case Fields():
                out.append((TEST, 0, 0, 0))
                out += [(KEEP, self.offset(name), shift, (1 << width) - 1) for name, width, shift in element.fields]
            case Address():
                out.append((ADDRESS, 0, 0, 0))
            case Number():
                if element.width > 64:
                    raise NotGenerated("an immediate of more than 64 bits")
                out.append((NUMBER, element.width // 8, self.offset(element.field), 0))
            case _:
                raise NotGenerated(f"an encoding with {type(element).__name__}")


def first_bytes(lengths: dict[int, int]) -> Iterable[tuple[int, int]]:
    """For each first byte the length that bytes beginning so count as when they are no instruction."""
    for byte in range(256):
        yield byte, lengths[min(lengths, key=lambda first: first ^ byte)]
