"""Faults planted in monitors, boards and sessions: each must be caught by what the suite asks of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from test_guests import identical, isa, machinery, output
from test_monitors import DISABLED_WAIT, alone, attack, board, program, under

from isa_specs.core import Monitor as Profile
from isa_specs.walk import components
from machine import scheduler
from machine.board import Board
from machine.errors import MachineError
from machine.lockstep import alike
from machine.monitors import hardware, monitor, processor
from machine.monitors.hardware import HardwareMonitor
from machine.monitors.monitor import Monitor
from machine.monitors.vmmap import VirtualMachineMap
from machine.monitors.windows import Storage
from machine.session import Session

Patch = pytest.MonkeyPatch
CAUGHT = (AssertionError, MachineError)


# ---- what is asked, in the words of the other files ---------------------------------------------------------------


def system_s370() -> None:
    identical("s370", "os", "trap_and_emulate")


def nested_s370() -> None:
    identical("s370", "os", "trap_and_emulate", 2)


def hybrid_x86() -> None:
    identical("x86", "os", "hybrid")


def system_vtx() -> None:
    identical("x86_vtx", "os", "vmx")


def paper() -> None:
    identical("third_generation", "os", "trap_and_emulate")


def overflow() -> None:
    source = ".org 0x68\n.quad stop_here\n.org 0x200\nstart: LPSW on(0)\ngo: L 1,large(0,0)\n AR 1,1\nstop_here: LPSW stop(0)\n"
    source += ".align 8\non: .quad 0x0000000008000000+go\nlarge: .word 0x40000001\n" + DISABLED_WAIT
    one, two = alone("s370", source, board("s370").size - board("s370").own), under("s370", source)
    assert one.session.run(100) == two.session.run(100)
    assert alike(one.session.state, two.session.state)


def echo() -> None:
    assert output("s370", "echo", typed=b"ab\n") == ("waiting", b"ab\n")


def echo_while_disabled() -> None:
    assert output("x86", "echo", typed=b"typed while interrupts are off\n") == ("waiting", b"typed while interrupts are off\n")


def filling() -> None:
    """A guest that stores to every address it can think of, beside a neighbour."""
    fill = program("s370", "start: LA 2,0x400(0,0)\nloop: MVC 0(255,2),0(0)\n LA 2,256(0,2)\n BC 15,loop(0,0)\n")
    house = scheduler.household(board("s370"), [fill, fill], "trap_and_emulate", host_contents=b"host")
    host, _, neighbour = house.digests()
    house.guests[0].session.run(300)
    assert house.digests()[0] == host
    assert house.digests()[2] == neighbour


def two_programs() -> None:
    assert output("x86", "os") == ("waiting", b"two programs: ABCDabcEFdef! done\n")


def isolation() -> None:
    for seed in range(12):
        attack("third_generation", "trap_and_emulate", seed, 200)


def detector() -> None:
    assert output("x86", "detect/sgdt", "trap_and_emulate") == ("waiting", b"M")


ORACLES = [
    system_s370, nested_s370, hybrid_x86, system_vtx, paper, overflow, echo, echo_while_disabled, two_programs, isolation, filling,
    detector,
]


# ---- the faults -----------------------------------------------------------------------------------------------------


def traps_are_not_delivered(patch: Patch) -> None:
    patch.setattr(monitor, "deliver", lambda *_: frozenset())
    patch.setattr("machine.plain.Machine.deliver", lambda *_: None)


def completed_traps_are_repeated(patch: Patch) -> None:
    patch.setattr(Monitor, "_done_already", lambda *_: False)


def the_next_instruction_is_emulated(patch: Patch) -> None:
    right = Monitor.dispatch

    def wrong(self, virtual, stop, trapped, bare, watch):  # type: ignore[no-untyped-def]
        later = replace(stop.last, address=stop.last.address + trapped.ilen)
        return right(self, virtual, replace(stop, last=later), trapped, bare, watch)

    patch.setattr(Monitor, "dispatch", wrong)


def _map(patch: Patch, change: Callable[[VirtualMachineMap], None]) -> None:
    right = VirtualMachineMap.__init__

    def wrong(self, *args):  # type: ignore[no-untyped-def]
        right(self, *args)
        change(self)

    patch.setattr(VirtualMachineMap, "__init__", wrong)


def the_condition_code_is_not_handed_over(patch: Patch) -> None:
    _map(patch, lambda vm: "psw.cc" in vm.guest and vm.guest.remove("psw.cc"))  # type: ignore[arg-type]


def the_counter_is_not_handed_over(patch: Patch) -> None:
    _map(patch, lambda vm: vm.guest.remove(vm.isa.counter.name))


def the_guest_runs_in_supervisor_mode(patch: Patch) -> None:
    _map(patch, lambda vm: [vm.given.update({name: 0}) for name in ("psw.prob", "psw.m") if name in vm.given])  # type: ignore[arg-type]


def the_hosts_mask_is_taken_for_the_guests(patch: Patch) -> None:
    right = VirtualMachineMap.leave

    def wrong(self, virtual):  # type: ignore[no-untyped-def]
        found = right(self, virtual)
        if "psw.external" in self.real.cells:
            virtual.cells["psw.external"] = 1
        return found

    patch.setattr(VirtualMachineMap, "leave", wrong)


def tables_are_not_moved(patch: Patch) -> None:
    patch.setattr(VirtualMachineMap, "tables", lambda self: [])


def traps_go_to_the_wrong_level(patch: Patch) -> None:
    right = processor.PlainProcessor.run

    def wrong(self, state, max_steps, *, bare=False, watch=processor.NOTHING):  # type: ignore[no-untyped-def]
        return right(self, state, max_steps, bare=True, watch=watch)

    patch.setattr(processor.PlainProcessor, "run", wrong)


def supervisor_mode_runs_directly(patch: Patch) -> None:
    patch.setattr(Monitor, "runs_directly", lambda *_: True)


def the_entry_is_not_explored(patch: Patch) -> None:
    patch.setattr(HardwareMonitor, "_probe", lambda self, virtual: self._fill(virtual))


def an_exit_skips_the_instruction(patch: Patch) -> None:
    def wrong(self, virtual, stop, trapped, done, bare, watch):  # type: ignore[no-untyped-def]
        self._take(virtual)
        virtual.cells[self.isa.counter.name] += trapped.ilen
        return hardware.Stop(done, "steps", stop.last)

    patch.setattr(HardwareMonitor, "_exited", wrong)


def ports_do_not_exit(patch: Patch) -> None:
    right = VirtualMachineMap._given

    def wrong(self, host, controls):  # type: ignore[no-untyped-def]
        return right(self, host, {**controls, "primary.unconditional_io_exiting": 0})

    patch.setattr(VirtualMachineMap, "_given", wrong)


def what_is_watched_is_not_noticed(patch: Patch) -> None:
    patch.setattr(monitor, "watched", lambda *_: frozenset())


def interrupts_come_when_disabled(patch: Patch) -> None:
    patch.setattr(Board, "enabled", lambda *_: True)


def an_interrupt_that_has_to_wait_is_lost(patch: Patch) -> None:
    right = Session._interrupt

    def wrong(self):  # type: ignore[no-untyped-def]
        found = right(self)
        self.pending.clear()
        return found

    patch.setattr(Session, "_interrupt", wrong)


def a_halt_is_not_left(patch: Patch) -> None:
    right = Session._interrupt

    def wrong(self):  # type: ignore[no-untyped-def]
        assert self.board.isa.idle is not None
        idle = {(name, 0): self.state.get((name, 0)) for name in components(self.board.isa.idle)}
        waiting = self.board.waiting(self.state)
        found = right(self)
        if found and waiting:
            for place, value in idle.items():
                self.state.put(place, value)
        return found

    patch.setattr(Session, "_interrupt", wrong)


def windows_begin_in_the_hosts_part(patch: Patch) -> None:
    right = Storage.window
    patch.setattr(Storage, "window", lambda self, origin, size: right(self, max(0, origin - 0x800), size))


def windows_overlap(patch: Patch) -> None:
    right = Storage.window

    def wrong(self: Storage, origin: int, size: int) -> Storage:
        return right(self, origin, min(size + scheduler.BLOCK, len(self) - origin))

    patch.setattr(Storage, "window", wrong)


def the_hosts_part_is_scribbled_on(patch: Patch) -> None:
    patch.setattr(VirtualMachineMap, "leave", _scribbling(VirtualMachineMap.leave))


def _scribbling(right):  # type: ignore[no-untyped-def]
    def wrong(self, virtual):  # type: ignore[no-untyped-def]
        memory = virtual.memory.get("storage")
        if isinstance(memory, Storage) and memory.cells.obj is not None:
            memory.cells.obj[0] = memory.cells.obj[0] + 1 & 0xFF  # type: ignore[index]
        return right(self, virtual)

    return wrong


def time_stands_still_in_a_wait(patch: Patch) -> None:
    patch.setattr(Session, "_wake", lambda self: None)


FAULTS: list[tuple[Callable[[Patch], None], Callable[[], None]]] = [
    (traps_are_not_delivered, system_s370),
    (completed_traps_are_repeated, overflow),
    (the_next_instruction_is_emulated, system_s370),
    (the_condition_code_is_not_handed_over, system_s370),
    (the_counter_is_not_handed_over, paper),
    (the_guest_runs_in_supervisor_mode, paper),
    (the_hosts_mask_is_taken_for_the_guests, system_s370),
    (tables_are_not_moved, detector),
    (traps_go_to_the_wrong_level, nested_s370),
    (supervisor_mode_runs_directly, hybrid_x86),
    (the_entry_is_not_explored, system_vtx),
    (an_exit_skips_the_instruction, system_vtx),
    (ports_do_not_exit, system_vtx),
    (what_is_watched_is_not_noticed, paper),
    (interrupts_come_when_disabled, two_programs),
    (an_interrupt_that_has_to_wait_is_lost, echo_while_disabled),
    (a_halt_is_not_left, echo),
    (windows_begin_in_the_hosts_part, isolation),
    (windows_overlap, filling),
    (the_hosts_part_is_scribbled_on, isolation),
    (time_stands_still_in_a_wait, echo),
]


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.__name__)
def test_nothing_is_caught_without_a_fault(oracle: Callable[[], None]) -> None:
    oracle()


@pytest.mark.parametrize(("fault", "oracle"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_faults_are_caught(fault: Callable[[Patch], None], oracle: Callable[[], None], monkeypatch: Patch) -> None:
    fault(monkeypatch)
    with pytest.raises(CAUGHT):
        oracle()


def test_a_wrong_profile_is_noticed(monkeypatch: Patch) -> None:
    """A profile that leaves the guest's mode in place is no monitor at all: privileged instructions do not trap."""
    own = isa("third_generation")
    profile = own.monitors["trap_and_emulate"]
    keeps = {name: keep for name, keep in profile.keeps.items() if name != "psw.m"}
    wrong = Profile(profile.name, profile.doc, profile.traps, keeps, profile.assumptions, profile.expects, profile.span)
    monkeypatch.setitem(own.monitors, "trap_and_emulate", wrong)
    made = machinery("third_generation", "os", "trap_and_emulate")
    made.session.run(1000)
    assert made.session.output != b"abcdefghij!\n"


