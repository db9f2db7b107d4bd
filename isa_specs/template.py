"""Assembly templates: the text of a form, with holes for its operands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from itertools import product

from isa_specs.core import MODRM_FIELDS, ByteEncoding, Extend, Field, FixedEncoding, Form, Isa, ModRM
from isa_specs.evaluate import expressions
from isa_specs.memory_operand import ModRMOperand
from isa_specs.operands import Name, Number, Operand, Reading, Relative, Symbols

MAX_HEADS = 4096
HOLE = re.compile(r"\{([^{}]*)\}")


class Template:
    """The template of one form. ``shown`` are the fields that its text gives."""

    def __init__(self, isa: Isa, form: Form):
        self.form = form
        self.texts: list[str] = []  # one more than operands
        self.operands: list[Operand] = []
        self.shown: set[str] = set()
        constants = form.constants | fixed_fields(form)
        text, last = "", 0
        for hole in HOLE.finditer(form.template):
            text += form.template[last : hole.start()]
            last = hole.end()
            name, _, names = hole[1].partition(":")
            name, _, anchor = name.partition("@")
            if name in constants:
                value = constants[name]
                text += isa.names[names][1][value] if names else str(value)
                continue
            self.texts.append(text)
            text = ""
            self.operands.append(operand(isa, form, name, names, bool(anchor)))
            self.shown.add(name)
            if isinstance(self.operands[-1], ModRMOperand):
                self.shown |= MODRM_FIELDS.keys() - {"reg"}
        self.texts.append(text + form.template[last:])

    def show(self, env: Mapping[str, int], following: int) -> str:
        """The text; ``following`` is the address of the next instruction."""
        out = self.texts[0]
        for made, text in zip(self.operands, self.texts[1:], strict=True):
            out += made.show(env, following) + text
        return " ".join(out.split())

    @property
    def registers(self) -> set[str]:
        """The words that stand for operands, in lower case."""
        out: set[str] = set()
        head = ""
        for text, made in zip(self.texts, self.operands, strict=False):
            head += text
            if isinstance(made, ModRMOperand):
                out.update(made.words, made.wide, made.narrow)
            elif isinstance(made, Name) and " " in head.lstrip():
                out.update(made.words)
        return {word.casefold() for word in out}

    @cached_property
    def mnemonics(self) -> list[str]:
        """The first words this template can begin with, in lower case; an empty one when they cannot be listed."""
        heads = [self.texts[0]]
        for made, text in zip(self.operands, self.texts[1:], strict=True):
            if all(" " in head.lstrip() for head in heads):
                break
            if not isinstance(made, Name):
                return [""]
            words = [made.show({made.field: n}, 0) for n in range(1 << min(made.width, 8))]
            if len(heads) * len(words) > MAX_HEADS:
                return [""]
            heads = [head + word + text for head, word in product(heads, words)]
        return list(dict.fromkeys(head.split()[0].casefold() for head in heads if head.split()))

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        out = _literal(self.texts[0].lstrip())
        for made, text in zip(self.operands, self.texts[1:], strict=True):
            if isinstance(made, Name):
                out += rf"(?:({made.pattern})\s+)?" if made.optional else f"({made.pattern})"
                text = text.lstrip() if made.optional else text
            else:
                out += rf"\s*({made.pattern})\s*"
            out += _literal(text)
        return re.compile(rf"\s*{out}\s*", re.IGNORECASE)

    def read(self, text: str, symbols: Symbols) -> list[list[Reading]] | None:
        """For each operand what its text may stand for, or None when the text is not of this shape. Raises OperandError."""
        found = self._regex.fullmatch(text)
        if found is None:
            return None
        return [made.read((part or "").strip(), symbols) for made, part in zip(self.operands, found.groups(), strict=True)]


def _literal(text: str) -> str:
    """A regular expression for literal text; blanks may be left out or added beside anything but letters."""
    tokens = re.findall(r"\s+|\w+|[^\w\s]", text)
    out = ""
    for token in tokens:
        if token.isspace():
            out += r"\s+"
        elif re.match(r"\w", token):
            out += re.escape(token)
        else:
            out += rf"\s*{re.escape(token)}\s*"
    return out.replace(r"\s*\s+", r"\s*").replace(r"\s+\s*", r"\s*")


def extended_width(form: Form, name: str) -> int:
    """The width to which every use of a field in the body sign-extends it, or 0."""
    uses = sum(isinstance(e, Field) and e.name == name for e in expressions(form.body))
    widths = [e.width for e in expressions(form.body)
              if isinstance(e, Extend) and e.signed and isinstance(e.arg, Field) and e.arg.name == name]
    return widths[0] if widths and len(widths) == uses and len(set(widths)) == 1 else 0


def operand(isa: Isa, form: Form, name: str, names: str, relative: bool) -> Operand:
    """The operand a hole of a template stands for."""
    width = form.fields.get(name) or (isa.prefixes[name].width if name in isa.prefixes else isa.contexts[name].width)
    if relative:
        return Relative(name, width, isa.counter.width)
    if not names:
        return Number(name, width, extended_width(form, name))
    size, words = isa.names[names]
    if name != "rm" or not has_modrm(form):
        return Name(name, width, words, optional=name in isa.prefixes)
    return ModRMOperand(words, size, _address_words(isa, 32), _address_words(isa, 16), isa.names.get("segment", ("", ()))[1])


def _address_words(isa: Isa, bits: int) -> tuple[str, ...]:
    for name in (f"address{bits}", f"addr{bits}", f"r{bits}"):
        if name in isa.names:
            return isa.names[name][1]
    return tuple(f"r{i}" for i in range(8))


def fixed_fields(form: Form) -> dict[str, int]:
    """The fields whose value the encoding fixes."""
    if isinstance(form.encoding, FixedEncoding):
        return dict(form.encoding.values)
    digit = next((e.digit for e in form.encoding.elements if isinstance(e, ModRM)), None)
    return {} if digit is None else {"reg": digit}


def has_modrm(form: Form) -> bool:
    return isinstance(form.encoding, ByteEncoding) and any(isinstance(e, ModRM) for e in form.encoding.elements)
