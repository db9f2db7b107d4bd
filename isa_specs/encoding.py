"""Bytes to instructions and back, derived from the encodings of a description.

>>> from isa_specs.load import load
>>> decode(load("s370"), b"\\x1a\\x12".__getitem__, dict).form.instruction
'AR'
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from isa_specs.core import ByteEncoding, FixedEncoding, Form, Isa, OpcodeByte
from isa_specs.elements import MAX_LENGTH, Element, EncodeError, TooLong, Window, elements, wanted
from isa_specs.evaluate import Evaluator, compiled, conjuncts, field_names
from isa_specs.patterns import Layout, Pattern
from isa_specs.relations import Groups, Relations
from isa_specs.words import fields_of

Contexts = Callable[[dict[str, int]], dict[str, int]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """An instruction: its form, all its fields (prefixes, contexts and ``ilen`` among them) and its length in bytes."""

    form: Form
    fields: dict[str, int]
    length: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two forms that both match ``example``, neither being a special case of the other."""

    first: Form
    second: Form
    example: bytes


class Codec:
    """Reads and writes one form."""

    def __init__(self, isa: Isa, form: Form):
        self.form = form
        self.takes_prefixes = isinstance(form.encoding, ByteEncoding)
        self.conditions = [(compiled(part), field_names(part)) for part in conjuncts(form.where)]
        self.steps: list[tuple[Element, tuple[Evaluator, ...]]] = []
        known = {*isa.prefixes, *isa.contexts}
        self.first = self._decided(known)
        for element in elements(isa, form):
            before = set(known)
            known.update(element.names)
            self.steps.append((element, self._decided(known, before)))
        self.names = known

    def _decided(self, known: set[str], before: set[str] | None = None) -> tuple[Evaluator, ...]:
        """The conditions that can be tested once ``known`` is, but not before."""
        return tuple(test for test, names in self.conditions if names <= known and (before is None or not names <= before))

    def match(self, window: Window, at: int, given: Mapping[str, int]) -> Decoded | None:
        """Read the instruction at ``at``. A byte is asked for only when all before it fit, as a fault in fetching it would show."""
        env = dict(given)
        if any(not test(env) for test in self.first):
            return None
        for element, tests in self.steps:
            at = element.read(window, at, env)
            if at < 0 or any(not test(env) for test in tests):
                return None
        env["ilen"] = at
        return Decoded(self.form, env, at)

    def write(self, env: Mapping[str, int]) -> bytes:
        """The bytes behind the prefixes."""
        out = b"".join([element.write(env) for element, _ in self.steps])
        for test, names in self.conditions:
            if names <= env.keys() and not test(env):
                raise EncodeError(f"the condition of this form of {self.form.instruction} does not hold")
        return out


Leaf = tuple[Codec, ...]
Trie = Leaf | list["Trie"]


class Decoder:
    """Decoding, encoding and the relations between the forms of one ISA. Use :func:`decoder`, which keeps them."""

    def __init__(self, isa: Isa):
        self.isa = isa
        self.layout = Layout(isa)
        self.codecs: dict[Form, Codec] = {}
        self._prefix_bytes = {byte: (p.name, value) for p in isa.prefixes.values() for byte, value in p.bytes}
        self._no_prefixes = dict.fromkeys(isa.prefixes, 0)

    def codec(self, form: Form) -> Codec:
        if form not in self.codecs:
            self.codecs[form] = Codec(self.isa, form)
        return self.codecs[form]

    def decode(self, fetch_byte: Callable[[int], int], contexts: Contexts) -> Decoded | None:
        """The instruction whose byte i is ``fetch_byte(i)``, or None. ``contexts`` gives the context values for prefix values."""
        window = Window(fetch_byte)
        fields = dict(self._no_prefixes)
        at = 0
        try:
            if fields:
                seen = set()
                while (entry := self._prefix_bytes.get(window[at])) is not None and entry[0] not in seen:
                    seen.add(entry[0])
                    fields[entry[0]] = entry[1]
                    at += 1
            if self.isa.contexts:
                fields.update(contexts(fields))
            node, depth = self.trie, at
            while isinstance(node, list):
                node = node[window[depth]]
                depth += 1
            for codec in node:
                if (codec.takes_prefixes or not at) and (found := codec.match(window, at, fields)) is not None:
                    return found
        except TooLong:
            pass
        return None

    def encode(self, form: Form, fields: Mapping[str, int]) -> bytes:
        """The bytes of ``form`` with these fields. Absent prefixes are 0, as are absent parts of a ModRM operand; a
        condition on a context that is not given is not checked. Raises :class:`EncodeError`."""
        codec = self.codec(form)
        for name in fields:
            if name not in codec.names and name not in ("ilen", *form.constants):
                raise EncodeError(f"this form of {form.instruction} has no field '{name}'")
        env = {**self._no_prefixes, **fields}
        out = self._prefix(form, env) + codec.write(env)
        if len(out) > MAX_LENGTH:
            raise EncodeError(f"{len(out)} bytes: an instruction has at most {MAX_LENGTH}")
        return out

    def _prefix(self, form: Form, env: Mapping[str, int]) -> bytes:
        out = []
        for prefix in self.isa.prefixes.values():
            value = wanted(env, prefix.name, prefix.width)
            if not value:
                continue
            if isinstance(form.encoding, FixedEncoding):
                raise EncodeError(f"{form.instruction} takes no prefixes")
            byte = next((byte for byte, meaning in prefix.bytes if meaning == value), None)
            if byte is None:
                raise EncodeError(f"no byte gives {prefix.name} = {value}")
            out.append(byte)
        return bytes(out)

    # ---- the tree of forms ------------------------------------------------------------------------------

    @cached_property
    def relations(self) -> Relations:
        return Relations(self.layout)

    @cached_property
    def tree(self) -> Groups:
        """The groups of :class:`Relations`, the most special forms of each first. It may be given from outside, where it is kept."""
        above = self.relations.above
        made: Groups = converted(self.relations.groups, lambda forms: tuple(sorted(forms, key=lambda form: -len(above[form]))))
        return made

    @cached_property
    def trie(self) -> Trie:
        made: Trie = converted(self.tree, lambda forms: tuple(self.codec(form) for form in forms))
        return made

    @cached_property
    def overlaps(self) -> list[Overlap]:
        found = []
        for first, second, word in self.relations.clashes:
            example = self._word_of_both(first, second, word)
            if example is not None:
                found.append(Overlap(first, second, example))
        return found

    def _word_of_both(self, first: Form, second: Form, word: int) -> bytes | None:
        # The search keeps what follows a ModRM byte apart from plain bytes in the same place; only bytes show whether both fit.
        for form in (first, second):
            fields = fields_of(self.layout, self.relations.patterns[form], word)
            try:
                data = self.encode(form, fields)
            except EncodeError:
                continue
            given = {name: fields[name] for name in self.layout.side}
            at = sum(bool(fields[name]) for name in self.isa.prefixes)
            if all(self.codec(other).match(Window(padded(data)), at, given) is not None for other in (first, second)):
                return data
        return None

    # ---- words of a form --------------------------------------------------------------------------------

    def _word(self, form: Form, rng: random.Random | None = None) -> tuple[Pattern, int | None]:
        pattern = self.layout.pattern(form)
        return pattern, self.layout.solve(pattern.mask, pattern.value, (*pattern.axioms, *pattern.conditions), rng)

    def unsatisfiable(self, form: Form) -> str:
        """Why no bytes can ever be ``form``, or an empty string where that is not so or not certain."""
        if isinstance(form.encoding, ByteEncoding) and self._prefix_bytes:
            head = form.encoding.elements[0]
            if isinstance(head, OpcodeByte) and all(head.value | n in self._prefix_bytes for n in range(8 if head.field else 1)):
                return f"its first byte {head.value:02X} is a prefix"
        return "its condition never holds" if self._word(form)[1] is None and self.layout.certain else ""

    def example(self, form: Form) -> bytes:
        """Bytes that match ``form`` (in some context). Raises :class:`EncodeError` when there are none."""
        pattern, word = self._word(form)
        if word is None:
            raise EncodeError(f"the condition of this form of {form.instruction} never holds")
        return self.encode(form, fields_of(self.layout, pattern, word))

    def random_fields(self, form: Form, rng: random.Random) -> dict[str, int]:
        """The fields, as in :class:`Decoded`, of a random instruction that decodes as ``form``."""
        for _ in range(200):
            pattern, word = self._word(form, rng)
            if word is None:
                break
            fields = fields_of(self.layout, pattern, word, rng)
            contexts = {name: fields[name] for name in self.isa.contexts}
            try:
                data = self.encode(form, fields)
            except EncodeError:
                continue  # too long with these prefixes
            found = self.decode(padded(data), lambda _, contexts=contexts: contexts)  # type: ignore[misc]
            if found is not None and found.form is form:
                return found.fields
        raise EncodeError(f"found no instruction that decodes as this form of {form.instruction}")


def converted(node: Groups, leaf: Callable[[tuple[Form, ...]], Any]) -> Any:
    """The same tree with other leaves; what it shares stays shared."""
    made: dict[int, Any] = {}

    def convert(node: Groups) -> Any:
        if id(node) not in made:
            made[id(node)] = [convert(child) for child in node] if isinstance(node, list) else leaf(node)
        return made[id(node)]

    return convert(node)


def padded(data: bytes) -> Callable[[int], int]:
    """``data`` as a fetch function, zeros behind it."""
    return (data + bytes(MAX_LENGTH)).__getitem__


@lru_cache(maxsize=16)
def decoder(isa: Isa) -> Decoder:
    """The decoder of a finished description."""
    return Decoder(isa)


def decode(isa: Isa, fetch_byte: Callable[[int], int], contexts: Contexts) -> Decoded | None:
    """See :meth:`Decoder.decode`."""
    return decoder(isa).decode(fetch_byte, contexts)


def encode(isa: Isa, form: Form, fields: Mapping[str, int]) -> bytes:
    """See :meth:`Decoder.encode`."""
    return decoder(isa).encode(form, fields)


def overlaps(isa: Isa) -> list[Overlap]:
    """The pairs of forms that some bytes could both be, neither being more special than the other."""
    return decoder(isa).overlaps


def unsatisfiable(isa: Isa, form: Form) -> str:
    """See :meth:`Decoder.unsatisfiable`."""
    return decoder(isa).unsatisfiable(form)


def example(isa: Isa, form: Form) -> bytes:
    """See :meth:`Decoder.example`."""
    return decoder(isa).example(form)


def random_fields(isa: Isa, form: Form, rng: random.Random) -> dict[str, int]:
    """See :meth:`Decoder.random_fields`."""
    return decoder(isa).random_fields(form, rng)


def state_contexts(isa: Isa, state: Mapping[str, int]) -> Contexts:
    """Contexts for components of these values (others 0), by name. Raises :class:`NotPure` when a context calls functions."""
    tests = {name: compiled(expr) for name, expr in isa.contexts.items()}
    cells = {cell: state.get(cell.name, 0) for cell in isa.cells.values()}

    def contexts(prefixes: dict[str, int]) -> dict[str, int]:
        env: dict[Any, int] = {**cells, **prefixes}
        for name, test in tests.items():
            env[name] = test(env)
        return {name: env[name] for name in tests}

    return contexts


__all__ = [
    "Contexts", "Decoded", "Decoder", "EncodeError", "Overlap", "decode", "decoder", "encode", "example", "overlaps",
    "padded", "random_fields", "state_contexts", "unsatisfiable",
]
