"""Monitors: what the VM map gives the real machine, what is emulated and what is reflected, and who can reach what."""

from __future__ import annotations

import os
import random
from functools import cache

import pytest

from isa_specs.core import Isa, Monitor
from isa_specs.encoding import EncodeError, decoder
from isa_specs.load import load
from isa_specs.program import Program
from machine import guests
from machine.board import Board
from machine.errors import MachineError
from machine.guests import Machinery
from machine.lockstep import alike
from machine.monitors.processor import PlainProcessor
from machine.monitors.windows import Storage, WithOwn
from machine.scheduler import household
from machine.session import Session
from machine.state import State

PROVED = [("third_generation", "trap_and_emulate"), ("s370", "trap_and_emulate"), ("s370", "hybrid"), ("x86_vtx", "vmx")]


@cache
def board(name: str) -> Board:
    isa = load(name)
    return guests.board_for(isa, guests.bundled(isa)["os"])


def program(name: str, source: str) -> Program:
    return guests.assembled(board(name), source, "test.s")


def under(name: str, source: str, monitor: str = "trap_and_emulate", depth: int = 1) -> Machinery:
    return guests.monitored(board(name), program(name, source), monitor, depth)


def alone(name: str, source: str, size: int = 0) -> Machinery:
    return guests.bare(board(name), program(name, source), size)


# ---- storage ---------------------------------------------------------------------------------------------------


def test_a_window_is_shared_and_has_no_way_out() -> None:
    storage = Storage.of_size(0x100)
    window = storage.window(0x40, 0x20)
    window[0] = 1
    window[0x1F] = 2
    window[0x20] = 3
    assert (storage[0x40], storage[0x5F], storage[0x60], window[0x20], window[0x1000]) == (1, 2, 0, 0, 0)
    with pytest.raises(MachineError, match="no window"):
        storage.window(0xF0, 0x11)


def test_a_copy_of_storage_is_apart() -> None:
    storage = Storage.of_size(16)
    twin = storage.copy()
    assert twin == storage
    twin[3] = 1
    assert twin != storage
    assert twin.digest() != storage.digest()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(MachineError, match="do not fit"):
        Storage.of_size(4).load(2, b"abc")


def test_own_storage_lies_behind_the_window() -> None:
    seen = WithOwn(memoryview(bytearray(16)), memoryview(bytearray(b"monitor")), 0x1000)
    seen[3], seen[0x1001], seen[0x1007] = 9, 65, 66
    assert (seen[3], seen[0x1000], seen[0x1001], seen[0x1007], seen[0x500]) == (9, ord("m"), 65, 0, 0)


# ---- the map -------------------------------------------------------------------------------------------------------


def test_the_real_machine_has_what_the_profile_says() -> None:
    machinery = under("x86", "start: hlt")
    virtual = machinery.session.state
    virtual["eflags.iopl"], virtual["gdtr.base"], virtual["gpr"] = 3, 0x5000, [1, 2, 3, 4, 5, 6, 7, 8]
    vm = machinery.monitors[0].map
    real = vm.enter(virtual)
    assert (real["cpl"], real["cs.rpl"], real["eflags.iopl"], real["eflags.if"], real["cr4.tsd"]) == (3, 3, 0, 1, 1)
    assert real["gpr"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert real["gdtr.base"] != 0x5000
    assert real["tr.sel"] == board("x86").host["tr.sel"]
    assert PlainProcessor(virtual.isa).machine.legal(real) == []
    assert virtual["cpl"] == 0


def test_moved_tables_show_the_guests_own() -> None:
    machinery = under("x86", "start: hlt")
    virtual = machinery.session.state
    virtual["gdtr.base"], virtual["gdtr.limit"] = 0x2000, 0xFF
    virtual.memory["storage"][0x2008] = 0x5A
    real = machinery.monitors[0].map.enter(virtual)
    space = virtual.isa.spaces["gdt"]
    place = PlainProcessor(virtual.isa).machine.place(space, 8, real, 0)
    assert place is not None
    assert real.get(place) == 0x5A
    real.put(place, 0x5B)
    assert virtual.memory["storage"][0x2008] == 0x5B


def test_the_guest_must_leave_the_monitors_own_alone() -> None:
    machinery = under("s370", "start: LPSW 8(0)")
    virtual = machinery.session.state
    vm = machinery.monitors[0].map
    real = vm.enter(virtual)
    real["psw.external"] = 1
    real["gpr"] = 3
    assert vm.leave(virtual) == ["psw.external"]
    assert virtual["psw.external"] == 0


# ---- dispatching ---------------------------------------------------------------------------------------------------

DISABLED_WAIT = ".align 8\nstop: .quad 0x0002000000000000\n"


def test_a_completed_trap_is_not_carried_out_twice() -> None:
    # Fixed-point overflow ends an addition that has been done; with bit 20 of the PSW it interrupts.
    source = """
        .org 0x68
        .quad handler
        .org 0x200
start:  LPSW on(0)
go:     L 1,large(0,0)
        AR 1,1
        LA 2,7(0,0)
handler: LPSW stop(0)
        .align 8
on:     .quad 0x0000000008000000+go
large:  .word 0x40000001
""" + DISABLED_WAIT
    one, two = alone("s370", source, board("s370").size - board("s370").own), under("s370", source)
    assert (one.session.run(100), two.session.run(100)) == ("waiting", "waiting")
    assert two.session.state["gpr"][1] == 0x80000002
    assert two.session.state["gpr"][2] == 0
    assert alike(one.session.state, two.session.state)
    assert two.monitors[0].counters.reflected == 1


def test_counters_add_up() -> None:
    source = "start: LA 1,3(0,0)\nSSM zero(0)\nSTIDP id(0)\nLPSW stop(0)\nzero: .byte 0\n.align 8\nid: .quad 0\n"
    machinery = under("s370", source + DISABLED_WAIT)
    assert machinery.session.run(100) == "waiting"
    counters = machinery.monitors[0].counters
    assert (counters.direct, counters.emulated, counters.reflected, counters.instructions) == (1, 3, 0, 4)
    assert counters.traps == {"privileged_operation": 3}
    assert counters.share == 0.75


def test_a_hybrid_monitor_interprets_supervisor_mode() -> None:
    isa = load("s370")
    source = guests.source_of(guests.bundled(isa)["os"])
    machinery = under("s370", source, "hybrid")
    assert machinery.session.run(10_000) == "waiting"
    counters = machinery.monitors[0].counters
    assert counters.emulated == 0
    assert counters.interpreted > 300
    assert counters.direct > 1000
    assert counters.instructions == machinery.session.steps


def test_each_monitor_keeps_a_part_of_storage() -> None:
    for depth in (1, 2, 3):
        machinery = under("s370", "start: LPSW stop(0)\n" + DISABLED_WAIT, depth=depth)
        state = machinery.session.state
        size = board("s370").size - depth * board("s370").own
        assert len(state.memory["storage"]) == size
        assert state["storage_size"] == size // 0x800 - 1
    with pytest.raises(guests.TooLarge, match="keep"):
        under("s370", "start: LPSW stop(0)\n" + DISABLED_WAIT, depth=4)


def test_guests_beyond_their_storage_are_refused() -> None:
    with pytest.raises(guests.TooLarge, match="the guest takes"):
        under("s370", "start: .space 0xD000")
    with pytest.raises(guests.NoSuchMonitor, match="no monitor 'vmx'"):
        under("s370", "start: .space 8", "vmx")
    with pytest.raises(guests.NoSuchMonitor, match="not monitors that use it too"):
        under("x86_vtx", "start: hlt", "vmx", depth=2)


def test_traps_stop_a_run_that_is_not_bare() -> None:
    machinery = under("s370", "start: SVC 5")
    stop = machinery.monitors[0].run(machinery.session.state, 10)
    assert stop.why == "trap"
    assert stop.last is not None
    assert str(stop.last.outcome) == "svc(0x5)"
    assert machinery.session.state["psw.ia"] == 2


def test_a_monitor_on_hardware_hands_out_traps_too() -> None:
    machinery = under("x86_vtx", "start: mov eax,5\nud: .byte 0x0F, 0xFF", "vmx")
    stop = machinery.monitors[0].run(machinery.session.state, 10)
    assert stop.why == "trap"
    assert stop.last is not None
    assert str(stop.last.outcome) == "invalid_opcode"
    assert machinery.session.state["gpr"][0] == 5
    assert machinery.session.state["vmx.op"] == 0


# ---- hardware that runs guests ---------------------------------------------------------------------------------------


def test_what_the_entry_loads_is_found_by_trying() -> None:
    machinery = under("x86_vtx", "start: cli\nhlt", "vmx")
    assert machinery.session.run(10) == "waiting"
    monitor = machinery.monitors[0]
    saved = getattr(monitor, "saved")  # noqa: B009
    assert saved["eip", 0] == "guest.eip"
    assert saved["gpr", 4] == "guest.esp"
    assert saved["eflags.cf", 0] == "guest.eflags.cf"
    assert saved["cpl", 0] == "guest_ss.dpl"
    assert ("cr3", 0) not in saved


def test_paging_of_its_own_is_interpreted() -> None:
    source = """
start:  mov eax,tables
        mov cr3,eax
        mov eax,0x10
        mov cr4,eax
        mov eax,cr0
        mov ebx,eax
        or eax,0x80000000
        mov cr0,eax
        mov byte [0x400000+probe],7    ; the first 4 MB once more
        mov cr0,ebx
        mov al,[probe]
        cli
        hlt
probe:  .byte 0
        .align 4096
tables: .word 0x83, 0x83
"""
    machinery = under("x86_vtx", source, "vmx")
    assert machinery.session.run(100) == "waiting"
    assert machinery.session.state["gpr"][0] & 0xFF == 7
    assert machinery.monitors[0].counters.interpreted == 2


def test_controls_are_those_the_checker_has_proved() -> None:
    import msgspec

    from checker.model import Report
    from checker.regenerate import __file__ as here

    folder = os.path.join(os.path.dirname(os.path.dirname(here)), "reports")  # noqa: PTH118, PTH120
    with open(os.path.join(folder, "x86_vtx.json"), "rb") as file:  # noqa: PTH118, PTH123
        report = msgspec.json.decode(file.read(), type=Report)
    found = next(monitor.controls for monitor in report.monitors if monitor.name == "vmx")
    given = board("x86_vtx").assisted["vmx"].controls
    profile: Monitor = board("x86_vtx").isa.monitors["vmx"]
    open_ = [name for name, keep in profile.keeps.items() if keep.how == "control"]
    assert open_
    assert {name: given.get(name, 0) for name in open_} == {name: int(found[name], 0) for name in open_}


# ---- random programs ---------------------------------------------------------------------------------------------------


def random_code(isa: Isa, rng: random.Random, size: int) -> bytes:
    """Instructions of all forms, and now and then bytes that are none."""
    known, out = decoder(isa), bytearray()
    while len(out) < size:
        if rng.random() < 0.1:
            out += rng.randbytes(rng.randrange(1, 4))
            continue
        form = rng.choice(isa.forms)
        try:
            out += known.encode(form, known.random_fields(form, rng))
        except EncodeError:
            continue
    return bytes(out[:size])


def scrambled(state: State, rng: random.Random) -> None:
    for values in state.arrays.values():
        if len(values) in (8, 16):
            values[:] = [rng.choice([0, 4, 0x100, 0x800, rng.getrandbits(16), rng.getrandbits(32)]) for _ in values]


def attack(name: str, monitor: str, seed: int, steps: int) -> int:
    """A random program beside another guest: it may do what it likes to itself. Returns the instructions it ran."""
    rng, own = random.Random(seed), board(name)
    start = {"start": own.origin + (0 if own.origin else 0x100)}
    programs = [Program(own.origin, random_code(own.isa, rng, 600), start, ()) for _ in range(2)]
    house = household(own, programs, monitor, host_contents=b"the host's part of storage; ")
    attacker = house.guests[0]
    attacker.session.run(1)  # the monitor has put its program and tables into its own part
    scrambled(attacker.session.state, rng)
    host, _, neighbour = house.digests()
    alone = Session(PlainProcessor(own.isa), attacker.session.state.copy(), own)
    alone.time, alone.pending, alone._due = attacker.session.time, attacker.session.pending.copy(), dict(attacker.session._due)
    alone.output = bytearray(attacker.session.output)
    endings = attacker.session.run(steps), alone.run(steps)
    assert house.digests()[0] == host, f"seed {seed}: the host's storage has changed"
    assert house.digests()[2] == neighbour, f"seed {seed}: the neighbour's storage has changed"
    assert not attacker.monitor.counters.disturbed, f"seed {seed}: the host's registers have changed"
    assert endings[0] == endings[1], f"seed {seed}"
    assert attacker.session.output == alone.output, f"seed {seed}"
    assert alike(attacker.session.state, alone.state), f"seed {seed}: not as on the bare machine"
    return attacker.session.steps


@pytest.mark.parametrize(("name", "monitor"), PROVED)
def test_random_programs_reach_nobody_and_notice_nothing(name: str, monitor: str) -> None:
    count = 8 if name == "x86_vtx" else 25
    assert sum(attack(name, monitor, seed, 200) for seed in range(count)) > 40 * count


@pytest.mark.campaign
@pytest.mark.parametrize(("name", "monitor"), PROVED)
def test_attack_campaign(name: str, monitor: str) -> None:
    """VCHECK_ATTACK_STEPS guest instructions (default 10^8) of random programs, from seed VCHECK_ATTACK_SEED on."""
    left, seed = int(float(os.environ.get("VCHECK_ATTACK_STEPS", "1e8"))), int(os.environ.get("VCHECK_ATTACK_SEED", "1000"))
    while left > 0:
        left -= max(1, attack(name, monitor, seed, 2000))
        seed += 1


def test_ring_compression_does_not_keep_an_attacker_out() -> None:
    """Far calls are critical on the x86: through a gate of its own the guest brings the real machine to ring 0, and no trap tells."""
    source = """
start:  mov esp,stack
        lgdt [image]
        mov eax,0x20
        ltr ax
        call far 0x18:0
inside: cli
        hlt
        .align 8
gdt:    .quad 0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF
        .quad 0x0000EC0000080000+inside
        .quad 0x0000890000000067+tss*0x10000
image:  .half 0x27
        .word gdt
        .align 8
tss:    .word 0, stack, 0x10
        .space 92
        .space 64
stack:
"""
    machinery = under("x86", source)
    machinery.session.run(10)
    assert machinery.monitors[0].counters.disturbed["cpl"] == 1
    safe = under("x86_vtx", source, "vmx")
    assert safe.session.run(10) == "waiting"
    assert not safe.monitors[0].counters.disturbed


# ---- several guests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("monitor", ["trap_and_emulate", "hybrid"])
def test_guests_take_turns_and_keep_apart(monitor: str) -> None:
    isa = load("third_generation")
    found = guests.bundled(isa)
    own = board("third_generation")
    programs = [guests.assembled(own, guests.source_of(found[name]), name) for name in ("os", "copy", "sieve")]
    house = household(own, programs, monitor, host_contents=b"host")
    host = house.digests()[0]
    assert house.run(20_000, turn=50) == ["waiting"] * 3
    outputs = [bytes(guest.session.output) for guest in house.guests]
    assert outputs[:2] == [b"abcdefghij!\n", b"CACM 17(7)\n"]
    assert outputs[2].startswith(b"**.*.*...*.*")
    assert house.digests()[0] == host


def test_a_guest_that_loops_takes_nothing_from_the_others() -> None:
    own = board("s370")
    looping = program("s370", "start: BC 15,start(0,0)")
    ending = program("s370", "start: LA 1,77(0,0)\nLPSW stop(0)\n" + DISABLED_WAIT)
    house = household(own, [looping, ending], "trap_and_emulate")
    assert house.run(500, turn=100) == ["steps", "waiting"]
    assert [guest.session.steps for guest in house.guests] == [500, 2]
    with pytest.raises(guests.TooLarge):
        household(own, [ending] * 5, "trap_and_emulate")
