"""Fetching, decoding, delivering and running, on whole descriptions."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isa_specs.core import Array, Isa, Space
from isa_specs.encoding import Decoded, decoder, encode
from isa_specs.load import bundled, load, loads
from machine.errors import MachineError
from machine.monitored import compare_square
from machine.outcomes import Next, Trapped
from machine.plain import Machine, StepResult
from machine.state import Recorder, State, reset

THIRD = load("third_generation")

EXECUTING = """
isa executing "EXECUTE, prefixes and contexts"
bits msb0
bytes big

state
  r : bits(16)[2] data
  pc : bits(16) counter
  wide : bit data
  user : bit mode

space storage : bits(16) -> byte data

trap odd(a : bits(16)) program suppress "Odd address"
  pc <- a
trap illegal_instruction program suppress
  r[1] <- zext(ilen, 16)
  pc <- 0x40
trap overflow program suppress
  pc <- 0x50

format S = op:8 n:8
format L = op:8 n:24
fetch (a : bits(16))
  trap odd(a) when a[15] == 1 and pc[15] == 1
  return storage(a, 8)
illegal illegal_instruction

prefix longer : bit = 66 -> 1
context size : bit = wide ^ longer

instruction ADD "Add" S 0x01
  r[0] <- r[0] + zext(n, 16)
  trap overflow when r[0] > 100
instruction NEXT "Where next is" S 0x02
  r[0] <- next
  r[1] <- zext(ilen, 16)
instruction EX "Execute" L 0x41
  r[1] <- 7
  execute storage(low(n, 16), 32)
instruction SIZE "Operand size" [90]
  r[0] <- zext(size, 16)

mode supervisor when user == 0
mode user when user == 1
invariant "the mode is 0 where the size is 1" wide == 0 or user == 0
"""


@pytest.fixture(scope="module")
def executing() -> Machine:
    return Machine(loads(EXECUTING))


def program(isa: Isa, text: bytes, at: int = 0) -> State:
    state = reset(isa)
    state["pc"] = at
    state.memory["storage"].load(at, text)
    return state


# ---- a toy with EXECUTE -----------------------------------------------------------------


def test_a_step_fetches_decodes_and_executes(executing: Machine) -> None:
    state = program(executing.isa, b"\x01\x05\x02\x00")
    result = executing.step(state)
    assert result.decoded is not None
    assert (result.address, result.decoded.form.instruction, result.outcome) == (0, "ADD", Next())
    executing.step(state)
    assert (state["r"], state["pc"]) == ([4, 2], 4)


def test_contexts_follow_state_and_prefixes(executing: Machine) -> None:
    for wide, text, size, end in ((0, b"\x90", 0, 1), (1, b"\x90", 1, 1), (0, b"\x66\x90", 1, 2), (1, b"\x66\x90", 0, 2)):
        state = program(executing.isa, text)
        state["wide"] = wide
        executing.step(state)
        assert (state["r"], state["pc"]) == ([size, 0], end)


def test_the_executed_instruction_has_the_place_and_length_of_execute(executing: Machine) -> None:
    state = program(executing.isa, b"\x41\x00\x01\x00", at=0x20)
    state.memory["storage"].load(0x100, b"\x02\x00")
    result = executing.step(state)
    assert result.executed is not None
    assert (result.executed.form.instruction, state["r"], state["pc"]) == ("NEXT", [0x24, 4], 0x24)


def test_a_trap_of_the_executed_instruction_undoes_both(executing: Machine) -> None:
    state = program(executing.isa, b"\x41\x00\x01\x00", at=0x20)
    state.memory["storage"].load(0x100, b"\x01\xff")
    before = state.copy()
    result = executing.step(state)
    assert result.outcome == Trapped(executing.isa.traps["overflow"], (), "program", 4)
    before["pc"] = 0x24
    assert state == before


def test_executing_what_is_no_instruction(executing: Machine) -> None:
    state = program(executing.isa, b"\x41\x00\x01\x00")
    state.memory["storage"].load(0x100, b"\xff\xff")
    executing.step(state, bare=True)
    assert (state["r"], state["pc"]) == ([0, 4], 0x40)


def test_execute_cannot_execute_itself(executing: Machine) -> None:
    state = program(executing.isa, b"\x41\x00\x00\x00")
    with pytest.raises(MachineError, match="EX executed by EX"):
        executing.step(state)


@pytest.mark.parametrize(("first", "length"), [(0x00, 2), (0x03, 2), (0x40, 4), (0x70, 4)])
def test_illegal_bytes_are_as_long_as_what_begins_alike(executing: Machine, first: int, length: int) -> None:
    state = program(executing.isa, bytes([first, 0]))
    result = executing.step(state)
    assert result.decoded is None
    assert result.outcome == Trapped(executing.isa.traps["illegal_instruction"], (), "program", length)
    assert state["pc"] == length


def test_a_trap_in_the_fetch_is_a_memory_trap_without_length(executing: Machine) -> None:
    state = program(executing.isa, b"\x01\x05", at=0x21)
    result = executing.step(state)
    assert (result.decoded, result.outcome) == (None, Trapped(executing.isa.traps["odd"], (0x21,), "memory", 0))
    assert state["pc"] == 0x21


def test_invariants_by_name(executing: Machine) -> None:
    state = reset(executing.isa)
    assert executing.legal(state) == []
    state["wide"] = state["user"] = 1
    assert executing.legal(state) == ["the mode is 0 where the size is 1"]


def test_a_run_ends_at_its_limit_or_at_the_caller_s_word(executing: Machine) -> None:
    state = program(executing.isa, b"\x01\x05\x01\x70\x03\x00")
    assert executing.run(state.copy(), 1).stopped == "steps"
    seen: list[StepResult] = []

    def monitor(step: StepResult, _: State) -> bool:
        seen.append(step)
        return len(seen) < 2

    ran = executing.run(state, 10, monitor)
    assert (ran.steps, ran.stopped, state["pc"]) == (3, "trap", 6)
    assert [str(step.outcome) for step in seen] == ["overflow", "illegal_instruction"]


# ---- every bundled description --------------------------------------------------------------


@pytest.mark.parametrize("name", bundled())
def test_every_form_runs_and_leaves_values_that_fit(name: str) -> None:
    isa, rng = load(name), random.Random(name)
    machine = Machine(isa)
    for form in isa.forms:
        state = reset(isa)
        for cell in isa.cells.values():
            state[cell.name] = rng.getrandbits(cell.width)
        for array in isa.arrays.values():
            state[array.name] = [rng.getrandbits(array.width) for _ in range(array.length)]
        for space, memory in state.memory.items():
            memory.fill = rng.getrandbits(isa.spaces[space].cell_width)
        fields = decoder(isa).random_fields(form, rng)
        outcome = machine.execute(form, fields, fields["ilen"], state)
        if isinstance(outcome, Trapped):
            machine.deliver(outcome.trap, outcome.args, state, outcome.ilen)
        for component in isa.components():
            if isinstance(component, Space):
                memory = state.memory[component.name]
                assert all(0 <= address < 1 << component.address_width for address in memory)
                values, width = list(memory.values()), component.cell_width
            else:
                values = state.arrays[component.name] if isinstance(component, Array) else [state.cells[component.name]]
                width = component.width
            assert all(0 <= value < 1 << width for value in values), f"{form.instruction}: {component.name}"


# ---- the third-generation machine --------------------------------------------------------


def third(code: list[tuple[str, dict[str, int]]], user: bool = False) -> tuple[Machine, State]:
    """A program at 0x100 of a window at word 0x40 of storage, with the new PSW for traps at location 8."""
    state = reset(THIRD)
    forms = THIRD.instructions()
    text = b"".join(encode(THIRD, forms[name][0], {**dict.fromkeys(forms[name][0].fields, 0), **fields}) for name, fields in code)
    state["psw.base"], state["psw.bound"], state["psw.m"], state["psw.p"] = 0x40, 0x100, int(user), 0x100
    state.memory["storage"].load(0x200, text)
    state.memory["storage"].load(8, bytes.fromhex("0000 0300 0000 4000"))
    return Machine(THIRD), state


def test_add_on_the_third_generation_machine() -> None:
    machine, state = third([("LA", {"r1": 1, "d": 40}), ("LA", {"r1": 2, "d": 4}), ("A", {"r1": 1, "r2": 2}), ("ST", {"r1": 1, "d": 0x80})])
    assert machine.run(state, 4).stopped == "steps"
    assert (state["gpr"][1], state["psw.p"]) == (44, 0x110)  # type: ignore[index]
    assert [state.memory["storage"][0x180 + i] for i in range(4)] == [0, 0, 0, 44]


def test_a_privileged_instruction_traps_in_user_mode_and_the_psw_is_swapped() -> None:
    machine, state = third([("SRB", {"r1": 1, "r2": 2})], user=True)
    old = state["psw"]
    result = machine.step(state, bare=True)
    assert str(result.outcome) == "privileged_instruction"
    stored = int.from_bytes(bytes(state.memory["storage"][i] for i in range(8)), "big")
    assert isinstance(old, int)
    # Location 0 holds the old PSW with the cause in the bits that have no name.
    assert (stored & 0x8000_FFFF_3FFF_7FFF, state["psw.p"], state["psw.m"]) == (old, 0x300, 0)


def test_a_fetch_outside_the_window_is_a_memory_trap() -> None:
    machine, state = third([])
    state["psw.p"] = 0x400
    result = machine.step(state)
    assert result.outcome == Trapped(THIRD.traps["memory_trap"], (), "memory", 0)


def test_the_recorder_knows_what_a_step_rests_on() -> None:
    machine, state = third([("L", {"r1": 1, "d": 0x80})])
    recorder = Recorder()
    machine.step(state, recorder=recorder)
    assert {name for name, _ in recorder.read} == {"psw.p", "psw.base", "psw.bound", "storage"}
    assert recorder.written == {("gpr", 1), ("psw.p", 0)}
    assert set(recorder.views) == {("window", a) for a in (*range(0x100, 0x104), *range(0x80, 0x84))}


@given(st.data())
def test_what_a_step_did_not_read_does_not_matter(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(THIRD.forms))
    fields = {name: data.draw(st.integers(0, (1 << width) - 1)) for name, width in form.fields.items()}
    machine, state = third([])
    for name, cell in THIRD.cells.items():
        state[name] = data.draw(st.integers(0, (1 << cell.width) - 1), label=name)
    state["gpr"] = [data.draw(st.integers(0, 2**32 - 1)) for _ in range(16)]
    other, recorder = state.copy(), Recorder()
    outcome = machine.execute(form, fields, 4, state, recorder)
    free = [place for place in other.places() if place not in recorder.read]
    changed = data.draw(st.sampled_from(sorted(free)))
    other.put(changed, other.get(changed) ^ 1)
    twin = Recorder()
    assert machine.execute(form, fields, 4, other, twin) == outcome
    assert twin == recorder
    for place in recorder.written:
        assert other.get(place) == state.get(place)


def test_a_moved_window_with_equal_contents_makes_no_difference() -> None:
    machine, state = third([("L", {"r1": 1, "d": 0x80})])
    state.memory["storage"][0x183] = 9
    result = compare_square(machine, THIRD.monitors["trap_and_emulate"], state, {"psw.base": 0x1000, "psw.bound": 0x100})
    assert result.commutes
    assert result.real_after.cells["psw.p"] == 0x104
    assert result.real_after["gpr"][1] == 9  # type: ignore[index]
    assert result.real_before.memory["storage"][0x4083] == 9


@given(st.data())
def test_the_squares_of_the_third_generation_machine_commute(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(THIRD.forms))
    fields = {name: data.draw(st.integers(0, (1 << width) - 1)) for name, width in form.fields.items()}
    machine, state = third([])
    state["psw.m"], state["psw.base"] = data.draw(st.integers(0, 1)), data.draw(st.integers(0, 0x100))
    state["gpr"] = [data.draw(st.integers(0, 0x500)) for _ in range(16)]
    state["mask"], state["timer"] = data.draw(st.integers(0, 255)), data.draw(st.integers(0, 255))
    for address in range(0x1000):
        state.memory["storage"][address] = address * 7 & 0xFF
    host = {"psw.base": data.draw(st.integers(0, 0x2000)), "mask": 3, "timer": 5}
    decoded = Decoded(form, fields, 4)
    assert compare_square(machine, THIRD.monitors["trap_and_emulate"], state, host, decoded=decoded).differences == []
