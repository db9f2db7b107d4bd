"""Which words a form matches: fixed bits and conditions on fields, and a search for words that meet them.

Everything that decides a match is laid out as bits of one number: prefix and context values, instruction bytes, and
what ModRM adds. Forms then share bits wherever they look at the same place, whatever their fields are called.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from isa_specs.core import MODRM_FIELDS, Apply, Const, Expr, Field, FieldByte, FixedEncoding, Form, Immediate, Isa, OpcodeByte, Read
from isa_specs.elements import MAX_LENGTH, displacement_bytes, has_sib
from isa_specs.evaluate import Environment, Evaluator, NotPure, compiled, conjuncts, expressions, field_names
from isa_specs.ops import to_signed

# Both in evaluations of parts of conditions:
SEARCH_LIMIT = 1 << 18  # of one exhaustive search
WORK_LIMIT = 1 << 21  # of all searches that compare the forms of one description
_WIDE = 12  # fields of more bits than this are tried with representative values only
_BYTES = 8 * (MAX_LENGTH + 1)
_SIB = ("scale", "index", "base")


class Place(NamedTuple):
    """Bits of the big number."""

    shift: int
    width: int

    @property
    def mask(self) -> int:
        return ((1 << self.width) - 1) << self.shift

    def of(self, word: int) -> int:
        return word >> self.shift & ((1 << self.width) - 1)


@dataclass(frozen=True, slots=True)
class Condition:
    """``test`` on the fields at ``places`` must give ``result``.

    ``constants`` are the numbers it compares with, ``size`` is what a test costs. ``exact`` when it does no more to wide
    fields than to compare them with constants, so that values near these stand for all others."""

    test: Callable[[Environment], int]
    places: tuple[tuple[str, Place], ...]
    constants: frozenset[int] = frozenset()
    result: bool = True
    size: int = 1
    exact: bool = True

    def holds(self, word: int) -> bool:
        return bool(self.test({name: place.of(word) for name, place in self.places})) is self.result

    def negated(self) -> Condition:
        return Condition(self.test, self.places, self.constants, not self.result, self.size, self.exact)


@dataclass(eq=False, slots=True)
class Pattern:
    """The words of one form: the bits ``mask`` have ``value``, and ``conditions`` hold.

    ``axioms`` hold for every word: has_sib follows from mod and rm, and so on."""

    form: Form
    length: int  # bytes up to and including ModRM, or up to the end
    mask: int = 0
    value: int = 0
    places: dict[str, Place] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    axioms: tuple[Condition, ...] = ()


class TooHard(Exception):
    """Comparing the forms takes too long; ``form`` is one that is hard."""

    def __init__(self, form: Form):
        self.form = form
        super().__init__(form.instruction)


class Layout:
    """Gives every bit that decides a match its place, for one ISA."""

    def __init__(self, isa: Isa):
        self.isa = isa
        self.work = 0
        self.certain = True
        self.patterns: dict[Form, Pattern] = {}
        self.side: dict[str, Place] = {}
        self.domains: dict[Place, tuple[int, ...]] = {}
        end = 0
        for prefix in isa.prefixes.values():
            self.side[prefix.name] = Place(end, prefix.width)
            self.domains[self.side[prefix.name]] = tuple(sorted({0} | {value for _, value in prefix.bytes}))
            end += prefix.width
        for name, expr in isa.contexts.items():
            self.side[name] = Place(end, expr.width)
            end += expr.width
        self._start = end
        self.pure_contexts = dict(_pure_contexts(isa))
        self._tail = _BYTES + sum(MODRM_FIELDS.values())

    def at(self, tail: int, byte: int, width: int = 8) -> Place:
        """``width`` bits from byte ``byte`` on: of the instruction (tail 0), or of what follows the ModRM byte at ``tail - 1``."""
        start = self._start + tail * self._tail
        return Place(start + (8 * byte if self.isa.little else _BYTES - 8 * byte - width), width)

    def pattern(self, form: Form) -> Pattern:
        """The words of ``form``."""
        if form not in self.patterns:
            self.patterns[form] = self._pattern(form)
        return self.patterns[form]

    def _pattern(self, form: Form) -> Pattern:
        places = dict(self.side)
        out = Pattern(form, 0)

        def fix(place: Place, value: int) -> None:
            out.mask |= place.mask
            out.value |= value << place.shift

        if isinstance(form.encoding, FixedEncoding):
            out.length = form.encoding.format.length
            whole, values = self.at(0, 0, 8 * out.length), dict(form.encoding.values)
            shift = whole.shift + whole.width
            for name, width in form.encoding.format.fields:
                shift -= width
                places[name] = Place(shift, width)
                if name in values:
                    fix(places[name], values[name])
        else:
            tail = byte = 0
            for element in form.encoding.elements:
                if isinstance(element, OpcodeByte):
                    place = self.at(tail, byte)
                    if element.field:
                        places[element.field] = Place(place.shift, 3)
                        place, value = Place(place.shift + 3, 5), element.value >> 3
                    else:
                        value = element.value
                    fix(place, value)
                    byte += 1
                elif isinstance(element, Immediate):
                    places[element.field] = self.at(tail, byte, element.width)
                    byte += element.width // 8
                elif isinstance(element, FieldByte):
                    shift = self.at(tail, byte).shift + 8
                    for name, width in element.fields:
                        shift -= width
                        places[name] = Place(shift, width)
                    byte += 1
                else:
                    shift = self.at(tail, byte).shift
                    places |= {"mod": Place(shift + 6, 2), "reg": Place(shift + 3, 3), "rm": Place(shift, 3)}
                    if element.digit is not None:
                        fix(places["reg"], element.digit)
                    byte += 1
                    out.length = out.length or byte
                    tail, byte = byte, 0
                    extra = self._start + tail * self._tail + _BYTES
                    for name in (*_SIB, "disp", "has_sib"):
                        places[name] = Place(extra, MODRM_FIELDS[name])
                        extra += MODRM_FIELDS[name]
            out.length = out.length or byte
        out.places = places
        out.conditions = tuple(self._condition(part, places) for part in conjuncts(form.where))
        out.axioms = tuple(self._axioms(field_names(form.where), places))
        return out

    @staticmethod
    def _condition(expr: Expr, places: Mapping[str, Place]) -> Condition:
        parts = list(expressions(expr))
        constants = frozenset(e.value for e in parts if isinstance(e, Const))
        named = tuple((name, places[name]) for name in sorted(field_names(expr)))
        return Condition(compiled(expr), named, constants, size=len(parts), exact=_exact(parts))

    def _axioms(self, mentioned: set[str], places: Mapping[str, Place]) -> Iterator[Condition]:
        for name in sorted(mentioned & self.pure_contexts.keys()):
            test = self.pure_contexts[name]
            needs = field_names(self.isa.contexts[name])
            yield Condition(lambda env, test=test, name=name: int(test(env) == env[name]),  # type: ignore[misc]
                            tuple((key, places[key]) for key in sorted(needs | {name})))
        addressing = tuple((key, places[key]) for key in ("mod", "rm", "addrsize") if key in places)
        if mentioned & {"has_sib", "disp", *_SIB} and "has_sib" in places:
            sib = ("has_sib", places["has_sib"])
            yield Condition(_sib_fits, (*addressing, sib))
            for name in _SIB:
                if name in mentioned:
                    yield Condition(lambda env, name=name: int(env["has_sib"] or not env[name]), (sib, (name, places[name])))  # type: ignore[misc]
            if "disp" in mentioned:
                yield Condition(_disp_fits, (*addressing, ("base", places["base"]), ("disp", places["disp"])), exact=False)

    # ---- search -----------------------------------------------------------------------------------------

    def solve(self, mask: int, value: int, conditions: Iterable[Condition], rng: random.Random | None = None) -> int | None:
        """A word whose bits ``mask`` are those of ``value`` and for which all conditions hold, or None.

        Exhaustive over fields of up to 12 bits, within SEARCH_LIMIT; wider fields take representative values (the
        constants they are compared with, neighbours, corners), and beyond the limit words are drawn at random.
        Afterwards ``certain`` tells whether None means that there is none; for all real instruction sets it does."""
        conditions = sorted(conditions, key=lambda c: sum(place.width for _, place in c.places))
        places = list(dict.fromkeys(place for c in conditions for _, place in c.places))
        rank = {place: i for i, place in enumerate(places)}
        checks: list[list[Condition]] = [[] for _ in places]
        for condition in conditions:
            if condition.places:
                checks[max(rank[place] for _, place in condition.places)].append(condition)
            elif not condition.holds(0):
                return None
        constants = frozenset().union(*(c.constants for c in conditions))
        prices = [1 + sum(condition.size for condition in listed) for listed in checks]
        budget = SEARCH_LIMIT

        def extend(depth: int, mask: int, value: int) -> int | None:
            nonlocal budget
            if depth == len(places):
                return value
            place = places[depth]
            for candidate in self._candidates(place, mask, value, constants, rng):
                budget -= prices[depth]
                if budget < 0:
                    return None
                word = value | candidate << place.shift
                if all(condition.holds(word) for condition in checks[depth]):
                    found = extend(depth + 1, mask | place.mask, word)
                    if found is not None:
                        return found
            return None

        found = extend(0, mask, value)
        self.certain = budget >= 0 and all(condition.exact for condition in conditions)
        self.work += SEARCH_LIMIT - budget
        if found is None and budget < 0:
            return self._sample(mask, value, conditions, places, constants)
        return found

    def _candidates(self, place: Place, mask: int, value: int, constants: Iterable[int], rng: random.Random | None) -> Iterator[int]:
        """Values for ``place`` that agree with the bits already known."""
        known, bits = place.of(mask), place.of(value)
        size = 1 << place.width
        if known == size - 1:
            yield bits
            return
        if place in self.domains:
            values: Iterable[int] = self.domains[place]
        elif place.width <= _WIDE:
            values = range(size)
        else:
            near = {c + d for c in constants for d in (-1, 0, 1)} | {0, 1, size - 1, size // 2 - 1, size // 2}
            draw = rng or random.Random(0)
            values = [*sorted({n % size & ~known | bits for n in near}), *(draw.randrange(size) & ~known | bits for _ in range(8))]
        if rng is not None:
            values = list(values)
            rng.shuffle(values)
        for candidate in values:
            if not (candidate ^ bits) & known:
                yield candidate

    def _draw(self, place: Place, mask: int, value: int, constants: Iterable[int], rng: random.Random) -> int:
        if place.width <= _WIDE and place not in self.domains:
            return rng.getrandbits(place.width) & ~place.of(mask) | place.of(value)
        values = list(self._candidates(place, mask, value, constants, None))
        return rng.choice(values) if values else place.of(value)

    def _sample(self, mask: int, value: int, conditions: Iterable[Condition], places: list[Place], constants: Iterable[int]) -> int | None:
        draw = random.Random(0)
        conditions = list(conditions)
        price = sum(16 for _ in places) + sum(condition.size for condition in conditions)
        for _ in range(1024):
            self.work += price
            known, word = mask, value
            for place in places:
                word |= self._draw(place, known, word, constants, draw) << place.shift
                known |= place.mask
            if all(condition.holds(word) for condition in conditions):
                return word
        return None

    def common(self, first: Pattern, second: Pattern) -> int | None:
        """A word of both, or None."""
        if first.mask & second.mask & (first.value ^ second.value):
            return None
        return self.solve(first.mask | second.mask, first.value | second.value,
                          (*first.axioms, *second.axioms, *first.conditions, *second.conditions))

    def within(self, first: Pattern, second: Pattern) -> bool:
        """Whether every word of ``first`` is one of ``second``."""
        given = (*first.axioms, *second.axioms, *first.conditions)
        if first.mask & second.mask & (first.value ^ second.value):
            return False
        for bit in _bits(second.mask & ~first.mask):
            if self.solve(first.mask | bit, first.value | (bit & ~second.value), given) is not None:
                return False
        return all(self.solve(first.mask, first.value, (*given, c.negated())) is None for c in second.conditions)


def _exact(parts: list[Expr]) -> bool:
    """Whether fields too wide to try all values of are only compared with constants."""
    wide = sum(isinstance(e, Field) and e.width > _WIDE for e in parts)
    compared = sum(isinstance(e, Apply) and e.op.result == "bit" and {type(arg) for arg in e.args} == {Field, Const}
                   and e.args[0].width > _WIDE for e in parts)
    return wide == compared


def _bits(word: int) -> Iterator[int]:
    while word:
        bit = word & -word
        yield bit
        word ^= bit


def _pure_contexts(isa: Isa) -> Iterator[tuple[str, Evaluator]]:
    """The contexts that depend on prefixes alone; any other may have any value."""
    for name, expr in isa.contexts.items():
        if any(isinstance(part, Read) for part in expressions(expr)):
            continue
        try:
            test = compiled(expr)
        except NotPure:
            continue
        yield name, test


def _wide(env: Environment) -> bool:
    return bool(env.get("addrsize", 1))


def _sib_fits(env: Environment) -> int:
    return int(env["has_sib"] == has_sib(env["mod"], env["rm"], _wide(env)))


def _disp_fits(env: Environment) -> int:
    length = displacement_bytes(env["mod"], env["rm"], env["base"], _wide(env))
    number = to_signed(env["disp"], 32)
    return int(-(1 << 8 * length - 1) <= number < 1 << 8 * length - 1 if length else not number)
