"""Terms are simplified as they are built: whatever is built must still have the value it was built to have."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from checker.conditions import conjuncts
from checker.models import Evaluator, Model
from checker.smtlib import Writer
from checker.solve import Solver
from checker.term import Term, apart, sparse
from checker.terms import Terms
from checker.trials import Trial, holds
from isa_specs.ops import OPERATORS

WIDTHS = (1, 3, 8, 13, 16)
BINARY = ("and", "or", "xor", "add", "sub", "shl", "lshr", "ashr")
COMPARISONS = ("eq", "ult", "ule", "slt", "sle")


class Grown:
    """Random terms, each with a plain function that says what its value is to be."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.terms = Terms()
        self.model = Model({f"x{width}.{k}": self.random.getrandbits(width) for width in WIDTHS for k in range(2)})

    def term(self, width: int, depth: int) -> tuple[Term, int]:
        """A term and its value in the model."""
        t, pick = self.terms, self.random
        kinds = ["const", "var"]
        if depth:
            kinds += ["binary", "binary", "binary", "ite", "ite", "extract", "address"]
            kinds += ["zext", "concat", "concat"] if width > 1 else ["compare", "not"]
        kind = pick.choice(kinds)
        if kind == "const" or (kind == "var" and width not in WIDTHS):
            value = pick.choice((0, 1, (1 << width) - 1, pick.getrandbits(width)))
            return t.const(width, value), value & (1 << width) - 1
        if kind == "var":
            name = f"x{width}.{pick.randrange(2)}"
            return t.var(name, width), self.model.values[name]
        if kind == "binary":
            row = OPERATORS[pick.choice(BINARY)]
            (a, x), (b, y) = self.term(width, depth - 1), self.term(width, depth - 1)
            if pick.random() < 0.3:  # something absorbs it, or cancels it
                c, z = self.term(width, depth - 1)
                inner = OPERATORS[pick.choice(("and", "or", "xor"))]
                b, y = t.apply(inner, (a, c)), inner.plain(width, x, z) & (1 << width) - 1
            return t.apply(row, (a, b)), row.plain(width, x, y) & (1 << width) - 1
        if kind == "compare":
            row = OPERATORS[pick.choice(COMPARISONS)]
            wide = pick.choice(WIDTHS)
            (a, x), (b, y) = self.term(wide, depth - 1), self.term(wide, depth - 1)
            return t.apply(row, (a, b)), int(row.plain(wide, x, y)) & 1
        if kind == "not":
            a, x = self.term(1, depth - 1)
            return t.negate(a), 1 - x
        if kind == "ite":
            (c, z), (a, x), (b, y) = self.term(1, depth - 1), self.term(width, depth - 1), self.term(width, depth - 1)
            return t.ite(c, a, b), x if z else y
        if kind == "extract":
            low = pick.randrange(4)
            a, x = self.term(width + low + pick.randrange(4), depth - 1)
            return t.extract(a, width + low - 1, low), x >> low & (1 << width) - 1
        if kind == "address":
            return self.address(width, depth)
        if kind == "zext":
            a, x = self.term(pick.randrange(1, width), depth - 1)
            return t.extend(a, width, False), x
        low = pick.randrange(1, width)
        (a, x), (b, y) = self.term(width - low, depth - 1), self.term(low, depth - 1)
        return t.concat([a, b]), x << low | y

    def address(self, width: int, depth: int) -> tuple[Term, int]:
        """Some distance from a base that may be aligned."""
        t, pick = self.terms, self.random
        low = pick.randrange(min(4, width))
        a, x = self.term(width - low, depth - 1)
        base, start = (t.concat([a, t.const(low, 0)]), x << low) if low else (a, x)
        distance = pick.randrange(20)
        return t.add(base, t.const(width, distance)), start + distance & (1 << width) - 1

    def place(self, width: int) -> tuple[Term, int]:
        """One of a few addresses: joined of few parts, some a distance away from the others."""
        t, pick = self.terms, self.random
        parts: list[Term] = []
        value, left = 0, width
        while left:
            wide = pick.choice([size for size in (1, 3, 8) if size <= left])
            name = f"x{wide}.{pick.randrange(2)}"
            distance = pick.choice((0, 0, 1, 2, 7, (1 << wide) - 1)) & (1 << wide) - 1
            base, start = pick.choice(((t.var(name, wide), self.model.values[name]), (t.const(wide, 0), 0)))
            parts.append(t.add(base, t.const(wide, distance)))
            value, left = value << wide | start + distance & (1 << wide) - 1, left - wide
        distance = pick.choice((0, 0, 1, 8, 1 << 8))
        whole = t.concat(parts) if len(parts) > 1 else parts[0]
        return t.add(whole, t.const(width, distance)), value + distance & (1 << width) - 1

    def memory(self, writes: int) -> tuple[Term, dict[int, int]]:
        """A memory after some writes, some of them under conditions, and the cells it then has by definition."""
        t, pick = self.terms, self.random
        memory, cells = t.memory("memory", 9, 8), {at: self.model.cells.get(("memory", at), 0) for at in range(1 << 9)}
        for _ in range(writes):
            (at, where), (value, number) = self.place(9), self.term(8, 1)
            written, after = t.store(memory, at, value), {**cells, where: number}
            if pick.random() < 0.4:
                condition, holds = self.term(1, 2)
                other, otherwise = memory, cells
                if pick.random() < 0.4:
                    (at, where), (value, number) = self.place(9), self.term(8, 1)
                    other, otherwise = t.store(memory, at, value), {**cells, where: number}
                written, after = t.ite(condition, written, other), after if holds else otherwise
            memory, cells = written, after
        return memory, cells


@settings(max_examples=400)
@given(st.integers(0, 2**32))
def test_a_term_has_the_value_it_was_built_for(seed: int) -> None:
    grown = Grown(seed)
    term, value = grown.term(grown.random.choice(WIDTHS), 5)
    assert Evaluator([term])(grown.model) == [value]
    assert holds([grown.terms.eq(term, grown.terms.const(term.width, value))], grown.model)
    assert not holds([grown.terms.negate(grown.terms.eq(term, grown.terms.const(term.width, value)))], grown.model)


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_addresses_said_to_be_apart_differ(seed: int) -> None:
    grown = Grown(seed)
    base, start = grown.term(10, 2)
    wide = grown.terms.extend(grown.terms.concat([base, grown.terms.const(3, 0)]), 16, False)
    found = [grown.address(16, 3) for _ in range(3)]
    for distance in (0, 3, 7, 8, 15, 16):
        found.append((grown.terms.add(wide, grown.terms.const(16, distance)), (start << 3) + distance))
    found += [grown.place(16) for _ in range(8)]
    for a, x in found:
        for b, y in found:
            assert not apart(a, b) or x != y


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_choices_by_number(seed: int) -> None:
    pick, t = random.Random(seed), Terms()
    x, numbers = t.var("x", 3), range(8)

    def condition(depth: int) -> tuple[Term, list[int]]:
        if depth and pick.random() < 0.4:
            (a, holds), (b, other) = condition(depth - 1), condition(depth - 1)
            row = OPERATORS[pick.choice(("and", "or"))]
            return t.apply(row, (a, b)), [row.plain(1, i, j) for i, j in zip(holds, other, strict=True)]
        row, k, distance = OPERATORS[pick.choice(("eq", "eq", "eq", "ult", "ule"))], pick.choice((1, 2, 5)), pick.choice((0, 0, 0, 1, 6))
        moved, constant = t.add(x, t.const(3, distance)), t.const(3, k)
        return t.apply(row, (constant, moved)), [int(row.plain(3, k, number + distance & 7)) for number in numbers]

    made = [(t.var(name, 8), [value] * 8) for value, name in enumerate("ab")]
    for _ in range(12):
        (c, holds), (a, values), (b, others) = condition(pick.choice((0, 2))), pick.choice(made[:2]), pick.choice(made[-2:])
        if pick.random() < 0.3:
            (a, values), (b, others) = (b, others), (a, values)
        made.append((t.ite(c, a, b), [i if h else j for h, i, j in zip(holds, values, others, strict=True)]))
    for number in numbers:
        found = Evaluator([term for term, _ in made])(Model({"x": number, "a": 0, "b": 1}))
        assert found == [values[number] for _, values in made]


def test_one_of_many_written_is_chosen_once() -> None:
    t = Terms()
    x, before, after = t.var("x", 4), t.var("before", 8), t.var("after", 8)
    value = t.ite(t.eq(x, t.const(4, 9)), after, before)
    for k in range(9):
        value = t.ite(t.eq(x, t.const(4, k)), before, value)
    assert value is t.ite(t.eq(x, t.const(4, 9)), after, before)


def filled(seed: int) -> Grown:
    grown = Grown(seed)
    grown.model.cells = {("memory", at): grown.random.getrandbits(8) for at in range(1 << 9)}
    return grown


@settings(max_examples=300)
@given(st.integers(0, 2**32), st.integers(0, 12))
def test_reads_find_what_was_written(seed: int, writes: int) -> None:
    grown = filled(seed)
    memory, cells = grown.memory(writes)
    places = [grown.place(9) for _ in range(6)]
    read = [grown.terms.select(memory, place) for place, _ in places]
    assert Evaluator(read)(grown.model) == [cells[at] for _, at in places]


@settings(max_examples=300)
@given(st.integers(0, 2**32), st.integers(0, 6), st.integers(0, 6), st.integers(1, 3))
def test_memories_are_the_same_when_all_their_cells_are(seed: int, writes: int, others: int, some: int) -> None:
    grown = filled(seed)
    (a, cells), (b, other) = grown.memory(writes), grown.memory(others)
    if grown.random.random() < 0.5:  # the same places
        (at, where), (value, number) = grown.place(9), grown.term(8, 1)
        a, cells = grown.terms.store(a, at, value), {**cells, where: number}
        b, other = grown.terms.store(b, at, grown.terms.const(8, 3)), {**other, where: 3}
    same, partly = Evaluator([grown.terms.same_memory(a, b), grown.terms.same_memory(a, b, some)])(grown.model)
    assert same == (cells == other)
    assert partly or not same


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.integers(0, 5))
def test_every_address_is_near_one_that_is_kept(seed: int, granule: int) -> None:
    grown = Grown(seed)
    start, _ = grown.address(16, 2)
    distances = [grown.random.randrange(100) for _ in range(grown.random.randrange(1, 30))]
    addresses = list(dict.fromkeys(grown.terms.add(start, grown.terms.const(16, distance)) for distance in distances))
    values = dict(zip(addresses, Evaluator(addresses)(grown.model), strict=True))
    kept = sparse(addresses, granule)
    blocks = {values[address] >> granule for address in kept}
    assert all(values[address] >> granule in blocks for address in addresses)


def test_few_of_many_addresses_are_kept() -> None:
    t = Terms()
    first, other = t.var("a", 24), t.concat([t.const(1, 1), t.var("b", 23)])
    addresses = [t.add(start, t.const(24, distance)) for distance in range(256) for start in (first, other)]
    assert len(sparse(addresses, 11)) == 6  # of each its start, the nearest and the farthest


def test_what_is_added_to_a_part_does_not_carry() -> None:
    t = Terms()
    high, low = t.var("high", 1), t.var("low", 2)
    parts = [t.concat([high, t.add(low, t.const(2, distance))]) for distance in range(4)]
    assert all(apart(a, b) == (a is not b) for a in parts for b in parts)
    found = list(dict.fromkeys(t.add(part, t.const(3, distance)) for part in parts for distance in range(8)))
    values = [Evaluator(found)(Model({"high": bits >> 2, "low": bits & 3})) for bits in range(8)]
    for i, a in enumerate(found):
        for j, b in enumerate(found):
            assert not (apart(a, b) and any(row[i] == row[j] for row in values))


def test_bytes_of_table_entries_are_apart() -> None:
    t = Terms()
    entry = t.extend(t.concat([t.var("index", 13), t.const(3, 0)]), 32, False)
    places = [t.add(entry, t.const(32, distance)) for distance in range(20)]
    assert all(apart(a, b) == (a is not b) for a in places for b in places)


@settings(max_examples=200)
@given(st.integers(0, 2**32))
def test_conjuncts_hold_when_all_do(seed: int) -> None:
    grown = Grown(seed)
    made = [grown.term(1, 4) for _ in range(3)]
    parts = conjuncts(grown.terms, [term for term, _ in made])
    assert all(Evaluator(parts)(grown.model)) == all(value for _, value in made)


@settings(max_examples=200)
@given(st.integers(0, 2**32))
def test_stores_leave_what_others_look_at(seed: int) -> None:
    """Of a chain of stores some memories are looked at once more, wanted themselves, or chosen between."""
    t, rng = Terms(), random.Random(seed)
    memories = [t.memory("m", 16, 8)]
    for step in range(12):
        onto = memories[-1] if rng.random() < 0.8 else rng.choice(memories)
        memories.append(t.store(onto, t.var(f"a{step}", 16), t.const(8, step + 1)))
        if rng.random() < 0.3:
            memories.append(t.ite(t.var("c", 1), memories[-1], rng.choice(memories)))
    roots = [t.select(memory, t.var("r", 16)) for memory in rng.sample(memories, 3)] + rng.sample(memories, 2) + memories[-1:]
    model = Model({f"a{step}": rng.randrange(5) for step in range(12)} | {"r": rng.randrange(5), "c": rng.getrandbits(1)})
    evaluator = Evaluator(roots)
    values = evaluator.values(model)
    assert evaluator(model) == [values[evaluator.slots[root]] for root in roots]
    assert evaluator(model) == evaluator(model)


@settings(max_examples=200)
@given(st.integers(0, 2**32))
def test_a_trial_forgets_what_depends_on_the_varied(seed: int) -> None:
    grown = Grown(seed)
    asserted = [grown.term(1, 4)[0] for _ in range(3)]
    trial = Trial("x8.")
    for _ in range(4):
        model = grown.model.copy()
        model.values |= {name: grown.random.getrandbits(8) for name in ("x8.0", "x8.1")}
        assert trial.holds(asserted, model) == all(Evaluator(asserted)(model))


def test_conjuncts_of_shared_conditions_are_few() -> None:
    t = Terms()
    condition = t.var("x", 1)
    for k in range(200):  # as a tree it has 2 ** 200 leaves
        condition = t.both(t.both(condition, t.var(f"a{k}", 1)), t.both(t.var(f"b{k}", 1), condition))
    assert len(conjuncts(t, [condition])) == 401


def test_the_solver_does_not_take_shared_terms_apart() -> None:
    t = Terms()
    term = t.var("x", 8)
    for k in range(60):
        term = t.add(t.ite(t.eq(term, t.var(f"a{k}", 8)), term, t.var(f"b{k}", 8)), term)
    text, _ = Writer().text([t.eq(term, t.const(8, 7))])
    with Solver(jobs=1, timeout=10) as solver:
        assert solver.solve(text).verdict == "sat"
