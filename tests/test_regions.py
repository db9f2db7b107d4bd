"""Loops compiled whole, against the plain machine: however they are left, wherever a run ends, whatever changes under them."""

from __future__ import annotations

import pytest
from jitting import differences
from test_jitted_strides import FIRST, SECOND, prepared, translated

from isa_specs.load import load
from machine.generated import regions
from machine.generated.state import GeneratedState
from machine.jitted import JittedMachine
from machine.plain import Machine
from machine.state import State
from tests.benchmarks.emulators import ENTRY, S370_LOOPS, S370_MODES, s370_program, x86_image
from tests.references.s370 import load_psw
from tests.x86_machine import system

LOOK = 40  # steps


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops are looked for all the time, and compiled when first met."""
    for name, value in {"SEEN": 1, "SHARE": 0, "SLICE": LOOK, "MAX_SLICE": LOOK}.items():
        monkeypatch.setattr(regions, name, value)


class Both:
    """The two machines in one state; ``run`` has both take so many steps, and compares."""

    def __init__(self, state: State):
        self.jitted, self.plain = JittedMachine(state.isa), Machine(state.isa)
        self.state: GeneratedState = self.jitted.state(like=state)
        self.expected = state.copy()

    @property
    def found(self) -> regions.Regions:
        assert self.jitted.regions is not None
        return self.jitted.regions

    def run(self, *steps: int) -> State:
        for count in steps:
            ran, meant = self.jitted.run(self.state, count), self.plain.run(self.expected, count)
            assert (ran.steps, ran.stopped) == (meant.steps, meant.stopped)
            assert self.state == self.expected, differences(self.state, self.expected)
        return self.expected


def s370(program: str, **cells: int) -> Both:
    return Both(prepared(program, **cells))


@pytest.mark.parametrize("loop", S370_LOOPS)
@pytest.mark.parametrize("mode", S370_MODES)
def test_loops_of_system_370(loop: str, mode: str) -> None:
    program, image = s370_program(loop, S370_MODES[mode])
    state = State(load("s370"))
    state.memory["storage"].load(0, image)
    state["storage_size"] = 0x1FFF
    load_psw(state, program.labels["begin"])
    both = Both(state)
    both.run(100, 1, 2, 3, 500, 7, 64, 65)
    assert both.found.compiled


@pytest.mark.parametrize("loop", ["arithmetic", "copy", "sieve"])
def test_loops_of_the_x86(loop: str) -> None:
    _, image = x86_image(loop, 1000)
    state = system(0)
    state.memory["storage"].load(ENTRY, image[ENTRY : ENTRY + 0x1000])
    state["cr0"], state["eip"] = 0x11, ENTRY
    both = Both(state)
    both.run(100, 1, 2, 3, 500, 7, 64, 65)
    assert both.found.compiled


def test_a_loop_that_ends() -> None:
    both = s370(" LA 8,300(0,0)\n LA 9,0(0,0)\n AR 9,8\n BCT 8,8(0,11)\n LA 7,5(0,7)\n BC 15,16(0,11)")
    both.state["gpr"][11] = both.expected["gpr"][11] = 0x2000
    after = both.run(100, 100, 100, 100, 100, 100, 100)
    assert after["gpr"][9] == 300 * 301 // 2
    assert len(both.found.compiled) == 2


def test_a_trap_in_a_round() -> None:
    """A store walks up to a protected block, and is refused with all of its round behind it kept."""
    both = s370(" STM 4,7,0(2)\n LA 2,16(0,2)\n LA 9,1(0,9)\n BC 15,0(0,11)", psw__key=2)
    for state in (both.state, both.expected):
        state["gpr"][11] = 0x2000
        for at in range(0, 0x5800, 0x800):
            state.memory["keys"][at >> 11] = 0x04
        state.memory["keys"][0x5800 >> 11] = 0x0E
    after = both.run(200, 200, 200)
    assert both.found.compiled
    assert (after["gpr"][9], after["psw.ia"]) == (0x80, 0x300)


def test_a_loop_that_changes_what_walks_rest_on() -> None:
    both = s370(" SSK 4,2\n ST 4,0(0,2)\n LA 9,1(0,9)\n BC 15,0(0,11)", psw__key=1)
    for state in (both.state, both.expected):
        state["gpr"][4], state["gpr"][11] = 0x16, 0x2000  # the bits as the store leaves them
        for at in range(0, 0x10000, 0x800):
            state.memory["keys"][at >> 11] = 0x02
    both.run(200)
    assert both.found.compiled
    for state in (both.state, both.expected):
        state["gpr"][4] = 0x36  # from the next round on the store is refused
    assert both.run(200)["psw.ia"] == 0x300


def test_a_loop_that_overwrites_itself() -> None:
    """After 200 rounds the addition in it becomes a subtraction."""
    both = s370(" LA 8,200(0,0)\n AR 9,11\n BCT 8,4(0,11)\n MVI 4(11),0x1B\n LA 8,200(0,0)\n BC 15,4(0,11)")
    both.state["gpr"][11] = both.expected["gpr"][11] = 0x2000
    both.run(150, 300, 300, 400)
    assert len(both.found.compiled) >= 2


def test_code_changed_from_outside() -> None:
    both = s370(" LA 9,1(0,9)\n BC 15,0(0,11)")
    both.state["gpr"][11] = both.expected["gpr"][11] = 0x2000
    both.run(200)
    for state in (both.state, both.expected):
        state.memory["storage"].load(0x2000, bytes.fromhex("41990003"))
    assert both.run(200)["gpr"][9] == 100 + 300


def test_a_stop_in_a_loop_already_compiled() -> None:
    both = s370(" LA 9,1(0,9)\n LA 8,1(0,8)\n BC 15,0(0,11)")
    both.state["gpr"][11] = both.expected["gpr"][11] = 0x2000
    both.run(300)
    assert both.found.compiled
    ran = both.jitted.run(both.state, 1000, stops=[0x2004])
    assert (ran.stopped, ran.steps, both.state["psw.ia"]) == ("break", 1, 0x2004)
    ran = both.jitted.run(both.state, 1000, stop_at=["BC"])
    assert (ran.stopped, ran.steps, both.state["psw.ia"]) == ("break", 1, 0x2008)
    assert both.jitted.run(both.state, 1000).steps == 1000


def test_pages_of_a_loop_move() -> None:
    """A page table entry changes while the loop goes on storing through it."""
    state = translated(" MVI 0(2),0x55\n BC 15,0(0,11)", {})
    state["gpr"][11] = 0x2000
    both = Both(state)
    both.run(200)
    for one in (both.state, both.expected):
        one.memory["storage"].load(0x10800 + 2 * (FIRST >> 12), (SECOND >> 12 << 4).to_bytes(2, "big"))
    assert both.run(200).memory["storage"][SECOND] == 0x55
    assert both.found.compiled


def test_states_of_one_machine_share_its_loops() -> None:
    both = s370(" LA 9,1(0,9)\n BC 15,0(0,11)")
    both.state["gpr"][11] = both.expected["gpr"][11] = 0x2000
    both.run(200)
    before = dict(both.found.compiled)
    both.state, both.expected = both.jitted.state(like=both.expected), both.expected.copy()
    both.run(200)
    assert both.found.compiled == before


def test_what_is_compiled_is_what_the_loop_does() -> None:
    both = s370(" LA 9,1(0,9)\n BC 15,0(0,11)")
    loop = tuple((0x2000 + 4 * i, 0, 4, 0, 0, 0) for i in range(2))
    text = both.found.text(loop)
    assert f"r = {both.jitted.generated.forms[0]}(s, 8196, 4, 0, 0, 0)" in text
