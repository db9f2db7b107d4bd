"""One line of assembly to bytes and back, derived from the templates of the forms.

An instruction may have several encodings. The assembler takes the one with the fewest prefixes the text does not name,
then the shortest, then the first in the description. The disassembler names a prefix wherever the assembler would not
find it by itself, so what is disassembled assembles to an instruction with the same operands, prefixes and meaning. Not
kept: displacements and immediates longer than needed, a SIB byte that is not needed, and which of several forms with the
same text it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from typing import Any

from isa_specs.core import Cell, Form, Isa, Read
from isa_specs.diagnostics import Diagnostic, Span, nearest
from isa_specs.elements import EncodeError, has_sib
from isa_specs.encoding import Contexts, Decoded, Decoder, decoder, padded
from isa_specs.evaluate import Evaluator, NotPure, compiled, expressions, field_names
from isa_specs.memory_operand import ModRMOperand
from isa_specs.operands import OperandError, Reading, Relative, Symbols, word_number
from isa_specs.template import Template

CODES = {
    "AS001": "unknown mnemonic or directive",
    "AS002": "the operands do not fit the instruction",
    "AS003": "a number, address or name is out of range or unknown",
    "AS004": "the size of a memory operand is not clear",
    "AS005": "a directive or label cannot be understood",
    "AS006": "a label is defined twice or is also a register",
    "AS007": "the program does not settle or goes backwards",
}


class AssemblyError(Exception):
    """Assembly text that cannot be translated; carries every mistake found (``diagnostics``)."""

    def __init__(self, *diagnostics: Diagnostic):
        self.diagnostics = diagnostics
        super().__init__("; ".join(f"line {d.span.line}: {d.code} {d.message}" for d in diagnostics[:3]))

    @property
    def code(self) -> str:
        return self.diagnostics[0].code

    @property
    def line(self) -> int:
        return self.diagnostics[0].span.line

    @property
    def hint(self) -> str:
        return self.diagnostics[0].hint


class LineError(Exception):
    """A mistake in one line, whose place the caller knows."""

    def __init__(self, code: str, message: str, hint: str = ""):
        self.code, self.message, self.hint = code, message, hint
        super().__init__(message)

    def at(self, span: Span) -> Diagnostic:
        return Diagnostic(self.code, self.message, span, self.hint)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to encode a line: its bytes, and the keys by which the best is chosen."""

    data: bytes
    shadowed: bool  # these bytes decode as a more special form
    implied: int  # prefixes the text does not name
    order: int
    assumed: str

    @property
    def rank(self) -> tuple[bool, int, int, int]:
        return self.shadowed, self.implied, len(self.data), self.order


class Assembler:
    """Assembles and disassembles single instructions of one ISA. Use :func:`assembler`, which keeps them."""

    def __init__(self, isa: Isa):
        self.isa = isa
        self.decoder: Decoder = decoder(isa)
        self.templates = {form: Template(isa, form) for form in isa.forms}
        self.order = {form: i for i, form in enumerate(isa.forms)}
        self.by_mnemonic: dict[str, list[Form]] = {}
        for form, template in self.templates.items():
            for mnemonic in template.mnemonics:
                self.by_mnemonic.setdefault(mnemonic, []).append(form)
        self.registers = set[str]().union(*(template.registers for template in self.templates.values()))
        self._searched: dict[Form, list[str]] = {}  # found when first asked for: disassembling seldom asks

    def _prefixes_behind(self, form: Form) -> list[str]:
        """The prefix groups on which the form's condition or the shape of its memory operand depends."""
        if form in self._searched:
            return self._searched[form]
        names = field_names(form.where)
        if any(isinstance(part, ModRMOperand) for part in self.templates[form].operands):
            names.add("addrsize")
        for name in reversed(self.isa.contexts):
            if name in names:
                names |= field_names(self.isa.contexts[name])
        found = self._searched[form] = [name for name in self.isa.prefixes if name in names]
        return found

    # ---- text to bytes ----------------------------------------------------------------------------------

    def assemble(self, text: str, address: int, contexts: Contexts, symbols: Symbols, at_least: int = 0) -> bytes:
        """The bytes of one instruction; at least so many where there is a choice. Raises :class:`LineError`."""
        failures: list[OperandError] = []
        candidates = list(self._candidates(text, address, contexts, symbols, failures))
        best = min((c for c in candidates if len(c.data) >= at_least), key=lambda c: c.rank, default=None)
        if best is None:
            raise self._failure(text, failures)
        sizes = {c.assumed for c in candidates if c.assumed and not c.shadowed}
        if best.assumed and len(sizes) > 1:
            raise LineError("AS004", "the size of the memory operand is not clear", f"write {' or '.join(sorted(sizes))} in front of it")
        return best.data

    def _candidates(self, text: str, address: int, contexts: Contexts, symbols: Symbols,
                    failures: list[OperandError]) -> Iterator[Candidate]:
        for explicit, rest in self._leading(text):
            for form in (*self.by_mnemonic.get(mnemonic(rest), ()), *self.by_mnemonic.get("", ())):
                template = self.templates[form]
                try:
                    readings = template.read(rest, symbols)
                except OperandError as error:
                    failures.append(error)
                    continue
                for chosen in product(*(readings if readings is not None else [[]])):
                    try:
                        yield from self._encodings(form, chosen, explicit, address, contexts)
                    except OperandError as error:
                        failures.append(error)
                    except EncodeError as error:
                        failures.append(OperandError(str(error)))

    def _leading(self, text: str) -> Iterator[tuple[dict[str, int], str]]:
        """The text with ever more prefix words taken off its front: ``rep movsb``, ``segment=5 lodsb``."""
        explicit: dict[str, int] = {}
        rest = text.strip()
        while True:
            yield dict(explicit), rest
            head, _, rest = rest.partition(" ")
            found = self._prefix_word(head)
            if not rest.strip() or found is None or found[0] in explicit:
                return
            explicit[found[0]] = found[1]
            rest = rest.strip()

    def _prefix_word(self, word: str) -> tuple[str, int] | None:
        """The prefix group and value a word stands for: a word of its names class, or the group's name."""
        for name in self.isa.prefixes:
            number = word_number(self.isa.names.get(name, ("", ()))[1], word)
            if number is not None:
                return name, number
        name, equals, value = word.partition("=")
        if name in self.isa.prefixes and (value.isdigit() if equals else True):
            return name, int(value or 1)
        return None

    def _encodings(self, form: Form, chosen: tuple[Reading, ...], explicit: dict[str, int], address: int,
                   contexts: Contexts) -> Iterator[Candidate]:
        """The form with these operands, under every choice of the prefixes that the text leaves open."""
        fields: dict[str, int] = {}
        for reading in chosen:
            fields.update(reading.fields)
        if any(fields.get(name, value) != value for name, value in explicit.items()):
            raise OperandError("a prefix contradicts an operand", 2)
        given = {name: fields.get(name, explicit.get(name)) for name in self.isa.prefixes}
        free = [name for name in self._prefixes_behind(form) if given[name] is None]
        domains = [sorted({0} | {value for _, value in self.isa.prefixes[name].bytes}) for name in free]
        for values in product(*domains):
            prefixes = {name: value or 0 for name, value in given.items()} | dict(zip(free, values, strict=True))
            computed = contexts(prefixes) if self.isa.contexts else {}
            env = {**prefixes, **computed, **fields}
            if any(env[name] != value for name, value in computed.items()):
                continue  # the text shows another context
            if any(r.addrsize not in (None, env.get("addrsize", 1)) for r in chosen) or not self._fits(form, env):
                continue
            data = self._place(form, env, chosen, address)
            found = self.decoder.decode(padded(data), contexts)
            shadowed = found is None or found.form is not form
            assumed = next((r.assumed for r in chosen if r.assumed), "")
            yield Candidate(data, shadowed, sum(map(bool, values)), self.order[form], assumed)

    def _fits(self, form: Form, env: dict[str, int]) -> bool:
        """Whether the form's condition can hold; chooses the fields the text does not show accordingly."""
        if "mod" in form.fields and "has_sib" not in form.fields:
            env.setdefault("mod", 3)  # a register in any case, and this is how one is written
        elif "mod" in env:
            env["has_sib"] = int(has_sib(env["mod"], env["rm"], bool(env.get("addrsize", 1))))
        missing = [name for name in form.fields if name not in env and name not in self.templates[form].shown and name != "_"]
        if not missing:
            return all(test(env) for test, names in self.decoder.codec(form).conditions if names <= env.keys())
        pattern, layout = self.decoder.layout.pattern(form), self.decoder.layout
        mask, value = pattern.mask, pattern.value
        for name, number in env.items():
            mask |= pattern.places[name].mask
            value |= number << pattern.places[name].shift
        word = layout.solve(mask, value, (*pattern.axioms, *pattern.conditions))
        if word is None:
            return False
        env.update({name: pattern.places[name].of(word) for name in missing})
        return True

    def _place(self, form: Form, env: dict[str, int], chosen: tuple[Reading, ...], address: int) -> bytes:
        """Encode; addresses are made relative once the length is known."""
        targets = [reading.target for reading in chosen if reading.target is not None]
        data = self.decoder.encode(form, {**env, **{name: 0 for name, _, _ in targets}})
        if targets:
            space = self.isa.counter.width
            for name, width, target in targets:
                env[name] = Relative.distance(target, address + len(data), width, space)
            data = self.decoder.encode(form, env)
        return data

    def _failure(self, text: str, failures: list[OperandError]) -> LineError:
        words = [mnemonic(rest) for _, rest in self._leading(text)]
        known = next((word for word in reversed(words) if word in self.by_mnemonic), None)
        if known is None:
            return LineError("AS001", f"unknown mnemonic '{words[-1]}'", nearest(words[-1], self.by_mnemonic))
        hint = "it is written " + " or ".join(dict.fromkeys(form.template for form in self.by_mnemonic[known][:4]))
        worst = max(failures, key=lambda error: error.rank, default=None)
        if worst is None:
            return LineError("AS002", f"these are not the operands of '{known}'", hint)
        return LineError("AS003" if worst.rank > 1 else "AS002", str(worst), "" if worst.rank > 1 else hint)

    # ---- bytes to text ----------------------------------------------------------------------------------

    def disassemble(self, decoded: Decoded, address: int) -> str:
        """The text of an instruction at ``address``."""
        template, fields = self.templates[decoded.form], decoded.fields
        text = template.show(fields, (address + decoded.length) & ((1 << self.isa.counter.width) - 1))
        hidden = [name for name in self.isa.prefixes
                  if fields[name] and name not in template.shown and not self._shows_segment(decoded, name)]
        contexts = self._contexts_like(fields) if hidden else dict
        for count in range(len(hidden)):
            for named in combinations(hidden, count):
                line = self._with_prefixes(named, fields, text)
                if self._same_prefixes(line, decoded, address, contexts):
                    return line
        return self._with_prefixes(hidden, fields, text)

    def _shows_segment(self, decoded: Decoded, name: str) -> bool:
        words = self.isa.names.get("segment", ("", ()))[1]
        memory = any(isinstance(part, ModRMOperand) for part in self.templates[decoded.form].operands) and decoded.fields["mod"] != 3
        return name == "segment" and memory and decoded.fields[name] < len(words)

    def _with_prefixes(self, names: tuple[str, ...] | list[str], fields: Mapping[str, int], text: str) -> str:
        return " ".join([*(self._word(name, fields[name]) for name in names), text])

    def _word(self, name: str, value: int) -> str:
        words = self.isa.names.get(name, ("", ()))[1]
        if value < len(words) and words[value] != "_":
            return words[value]
        return name if self._prefix_word(name) == (name, value) else f"{name}={value}"

    def _same_prefixes(self, line: str, decoded: Decoded, address: int, contexts: Contexts) -> bool:
        try:
            data = self.assemble(line, address, contexts, {})
        except LineError:
            return False
        found = self.decoder.decode(padded(data), contexts)
        return found is not None and all(found.fields[name] == decoded.fields[name] for name in self.isa.prefixes)

    def _contexts_like(self, fields: Mapping[str, int]) -> Contexts:
        """Contexts in some state that gives those in ``fields``; the same for all prefixes when none can be found."""
        fixed = {name: fields[name] for name in self.isa.contexts}
        try:
            tests = {name: compiled(expr) for name, expr in self.isa.contexts.items()}
        except NotPure:
            return lambda _: fixed
        cells = {e.cell for expr in self.isa.contexts.values() for e in expressions(expr) if isinstance(e, Read)}
        if sum(cell.width for cell in cells) > 12:
            return lambda _: fixed
        given = {name: fields[name] for name in self.isa.prefixes}
        for values in product(*(range(1 << cell.width) for cell in cells)):
            state = dict(zip(cells, values, strict=True))
            if _run(tests, state, given) == fixed:
                return lambda prefixes: _run(tests, state, prefixes)
        return lambda _: fixed


def _run(tests: Mapping[str, Evaluator], state: Mapping[Cell, int], prefixes: Mapping[str, int]) -> dict[str, int]:
    env: dict[Any, int] = {**state, **prefixes}
    for name, test in tests.items():
        env[name] = test(env)
    return {name: env[name] for name in tests}


def mnemonic(text: str) -> str:
    """The first word of a line."""
    return (text.split() or [""])[0].casefold()


@lru_cache(maxsize=16)
def assembler(isa: Isa) -> Assembler:
    """The assembler of a finished description."""
    return Assembler(isa)
