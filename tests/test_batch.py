"""Batches of cases: the same as one case after the other, on the plain machine, and by either compiler."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from isa_specs.core import Isa
from isa_specs.encoding import EncodeError, decoder
from isa_specs.load import load
from machine.agreement import Agreement
from machine.batch import STATUS, Batch, random_rows
from machine.cases import Backed, Background, Sampler
from machine.errors import MachineError
from machine.generated.emit import Unit
from machine.generated.numba_route import NumbaCompiled
from machine.jitted import JittedMachine
from machine.outcomes import Trapped
from machine.plain import Machine
from machine.rooms import resident
from machine.state import Memory

START = 0x1000
EASY = {
    "third_generation": {"psw.base": 0, "psw.bound": 0x4000},
    "s370": {"storage_size": 0x1FFF, "prefix": 0, "psw.dat": 0, "psw.key": 0},
    "paged": {},
}


def instructions(isa: Isa, count: int, rng: random.Random) -> list[bytes]:
    codes, out = decoder(isa), []
    while len(out) < count:
        form = isa.forms[len(out) % len(isa.forms)]
        try:
            out.append(codes.encode(form, codes.random_fields(form, rng)))
        except EncodeError:
            out.append(b"")
    return out


def cases(batch: Batch, count: int, seed: int) -> NDArray[np.int64]:
    """Random states at START, with an instruction there; in half of them storage is easily reached."""
    isa = batch.machine.isa
    rows = random_rows(batch, count, seed)
    rows[:, batch.column(isa.counter.name)] = START
    for name, value in EASY[isa.name].items():
        rows[: count // 2, batch.column(name)] = value
    codes = instructions(isa, 400, random.Random(seed))
    for i, row in enumerate(rows):
        batch.patch(row, START, codes[i % len(codes)])
    return rows


@pytest.mark.parametrize("name", EASY)
def test_each_case_is_a_step_of_the_plain_machine(name: str) -> None:
    isa = load(name)
    batch, plain = Batch(JittedMachine(isa), "storage", threads=1), Machine(isa)
    rows = cases(batch, 800, 1)
    before = rows.copy()
    batch.run(rows)
    traps = 0
    for given, row in zip(before, rows, strict=True):
        state = batch.state(given)
        outcome = plain.step(state).outcome
        assert batch.trapped(row) == (outcome if isinstance(outcome, Trapped) else None)
        found = batch.state(row)
        assert (found.cells, found.arrays) == (state.cells, state.arrays)
        traps += isinstance(outcome, Trapped)
    assert 0 < traps < len(rows)


def test_a_case_leaves_nothing_behind() -> None:
    isa = load("third_generation")
    batch = Batch(JittedMachine(isa), "storage", threads=2)
    rows = cases(batch, 20_000, 2)
    forward, backward = rows.copy(), rows[::-1].copy()
    batch.run(forward, steps=5)
    batch.run(backward, steps=5)
    assert np.array_equal(forward, backward[::-1])
    assert not any(any(state.memory["storage"].values()) for state, _ in batch._workers)


def test_common_storage() -> None:
    batch = Batch(JittedMachine(load("third_generation")), "storage", threads=1)
    batch.load("storage", START, bytes.fromhex("10100400"))  # L 1,0x400
    batch.load("storage", 0x400, bytes.fromhex("0000002a"))
    rows = batch.rows(2)
    batch.set(rows[0], {"psw.p": START, "psw.bound": 0x4000, "gpr": [0, 1]})
    batch.set(rows[1], {"psw.p": START})
    batch.run(rows)
    assert rows[0, batch.column("gpr", 1)] == 0x2A
    assert str(batch.trapped(rows[1])) == "memory_trap"


@pytest.mark.parametrize("room", [1, 2])
def test_what_was_stored(room: int) -> None:
    batch = Batch(JittedMachine(load("third_generation")), "storage", threads=1, stores=room)
    rows = batch.rows(3)
    for row, address in zip(rows, (0x404, 0x408, 0x8000), strict=True):
        batch.set(row, {"psw.p": START, "psw.bound": 0x1000, "gpr": [0, 0x01020304]})
        batch.patch(row, START, bytes.fromhex("11100400 1110") + address.to_bytes(2, "big"))  # ST 1,0x400; ST 1,address
    batch.run(rows, steps=2)
    assert batch.stored(rows[0]) == {("storage", 0x400): 0x0403020104030201}  # noted once
    assert batch.stored(rows[1]) == (None if room == 1 else {("storage", 0x400): 0x04030201, ("storage", 0x408): 0x04030201})
    assert batch.stored(rows[2]) == {("storage", 0x400): 0x04030201}
    assert str(batch.trapped(rows[2])) == "memory_trap"


def test_storage_that_cases_touched_takes_no_room_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is loaded stays."""
    monkeypatch.setattr("machine.batch.GIVE_BACK", 64)
    batch = Batch(JittedMachine(load("x86")), "storage", threads=1, stores=1)
    batch.load("storage", 0x5000, b"here")
    storage = batch.states[0].record.spaces["storage"]
    flat = {f"{segment}.{part}": value for segment in ("cs", "ds", "ss") for part, value in
            {"valid": 1, "limit": 0xFFFFFFFF, "db": 1, "type": 11 if segment == "cs" else 3}.items()}

    def pages_after(first: int) -> int:
        rows = batch.rows(64)
        for number, row in enumerate(rows):
            batch.set(row, {"cr0.pe": 1, "eip": 0x100, **flat, "gpr": [0x01020304, *[(first + number) << 12] * 7]})
            batch.patch(row, 0x100, bytes.fromhex("8901"))  # mov [ecx],eax
        batch.run(rows)
        assert [batch.stored(row) for row in rows] == [{("storage", first + number << 12): 0x01020304} for number in range(64)]
        return sum(map(bool, resident(storage._address, len(storage.room))))

    before = pages_after(0x100)
    assert before >= 64
    assert pages_after(0x900) < before + 8, "given back before the second run"
    assert batch.states[0].memory["storage"][0x5000] == ord("h")


@pytest.mark.parametrize("name", ["s370", "x86"])
def test_every_form_is_as_on_the_plain_machine(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("machine.agreement.STORES", 700)  # whatever an instruction stores is listed
    isa = load(name)
    agreement, did = Agreement(JittedMachine(isa)), Counter[str]()
    for number, form in enumerate(isa.forms):
        lot = agreement.lot(form, 5, number % 4, 4)
        assert not lot.wrong, lot.wrong[0].differences
        did += lot.did
    assert min(did["next"], did["trap"]) > len(isa.forms) / 2
    sampler = agreement.sampler
    for state in sampler.batch.states:
        for space, pages in sampler._laid.pages.items():
            assert all(state.record.spaces[space].page(page) == data for page, data in pages.items())


def test_long_stores_over_lines_pages_code_and_the_end_of_storage() -> None:
    isa = load("s370")
    batch, plain, rng = Batch(JittedMachine(isa), "storage", threads=1, patches=4, stores=300), Machine(isa), random.Random(6)
    size = 0x2FFF
    background = Background({"storage": {page: rng.randbytes(1 << 12) for page in range(3)}})
    for page, data in background.pages["storage"].items():
        batch.load("storage", page << 12, data)
    rows = random_rows(batch, 200, 6)
    for row in rows:
        ends = [START, START + 16, START + 0x400, START + 0xC00, START + 0x1000, size + 1]
        places = {i: rng.choice(ends) - rng.randrange(40) if rng.random() < 0.7 else rng.randrange(size) for i in range(16)}
        batch.set(row, {"psw.ia": START, "storage_size": size, "prefix": 0, "psw.dat": 0, "psw.key": 0, "psw.per": 0,
                        "cr0.low_address_protection": 0, "gpr": list(places.values())})
        code = b"".join(bytes([rng.choice((0xD2, 0xD4, 0xD7, 0xDC, 0xF1, 0x90)), rng.choice((0xFF, 0x80, rng.randrange(256))),
                               *(rng.choice((b"\x10\x00", b"\x20\x00", b"\x30\x08")) + rng.choice((b"\x40\x00", b"\x10\x01")))])
                        for _ in range(4))
        batch.patch(row, START, code)
    for steps in (1, 5):
        run, ended, long = rows.copy(), Counter[str](), 0
        batch.run(run, steps=steps)
        for given, row in zip(rows, run, strict=True):
            state = batch.state(given, {name: Backed(background, name) if name == "storage" else Memory()
                                        for name, space in isa.spaces.items() if space.physical})
            before = {name: memory.copy() for name, memory in state.memory.items()}
            outcome, done = plain.step(state).outcome, 1
            while done < steps and not isinstance(outcome, Trapped):
                outcome, done = plain.step(state).outcome, done + 1
            assert batch.trapped(row) == (outcome if isinstance(outcome, Trapped) else None)
            assert batch.components(row) == (state.cells, state.arrays)
            stored = batch.stored(row)
            assert stored is not None
            for (name, at), word in stored.items():
                before[name].update((at + i, byte) for i, byte in enumerate(word.to_bytes(8, "little")))
            for name, after in state.memory.items():
                assert all(before[name][at] == after[at] for at in {*before[name], *after})
            ended[type(outcome).__name__] += 1
            long += len(stored) > 16
        assert min(ended.values()) > 5
        assert long > 50
    storage = batch.states[0].record.spaces["storage"]
    assert all(storage.page(page) == data for page, data in background.pages["storage"].items())


@pytest.mark.parametrize("name", ["third_generation", "paged", "s370", "x86"])
def test_where_instructions_come_from(name: str) -> None:
    isa = load(name)
    sampler, plain = Sampler(JittedMachine(isa)), Machine(isa)
    background = sampler.background(1, 1)
    rows = np.concatenate([sampler.rows(form, 1, 1, 20, background) for form in isa.forms[:8]])
    rows[:, sampler.batch.state_words :] = 0  # no patches
    found = sampler.batch.origins(rows, 3)
    for row, places in zip(rows, found.tolist(), strict=True):
        state = sampler.state(row, background)
        expected = [plain.fetch_place(state, i) for i in range(3)]
        assert places == [place[1] if place is not None and place[0] == sampler.batch.space else -1 for place in expected]
    assert 0 < (found < 0).sum() < found.size


def test_mistakes() -> None:
    machine = JittedMachine(load("third_generation"))
    with pytest.raises(MachineError, match="no space of bytes 'port'"):
        Batch(machine, "port")
    batch = Batch(machine, "storage")
    with pytest.raises(MachineError, match="no component 'gpr' \\[16\\]"):
        batch.column("gpr", 16)
    with pytest.raises(MachineError, match="17 bytes do not fit"):
        batch.patch(batch.rows(1)[0], 0, bytes(17))
    with pytest.raises(MachineError, match="rows as rows"):
        batch.run(np.zeros((4, 3), np.int64))


def both_compilers(name: str, count: int) -> None:
    isa = load(name)
    machine = JittedMachine(isa)
    batches = [Batch(machine, "storage", threads=1, code=code) for code in (None, NumbaCompiled(Unit(isa, rows=True).source))]
    rows = cases(batches[0], count, 3)
    results = []
    for batch in batches:
        run = rows.copy()
        batch.run(run, steps=2)
        results.append(run)
    assert np.array_equal(*results)
    statuses = batches[0].outcomes(results[0])[:, STATUS]
    assert (statuses == 0).any()
    assert (statuses < 0).any()


def test_both_compilers_agree() -> None:
    both_compilers("third_generation", 100_000)


@pytest.mark.campaign
@pytest.mark.parametrize("name", ["s370", "paged"])
def test_both_compilers_agree_on_more(name: str) -> None:
    both_compilers(name, 300_000)
