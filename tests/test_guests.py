"""The guests that come with the program: what they print bare, under monitors, under monitors of monitors; and what detects one."""

from __future__ import annotations

from functools import cache

import pytest

from isa_specs.core import Isa
from isa_specs.load import load
from machine import guests
from machine.board import BoardError
from machine.guests import Machinery
from machine.lockstep import Comparison, alike, compare
from machine.scheduler import household
from machine.session import Ending, Session

NAMES = {name: load(name) for name in ("third_generation", "s370", "x86")}
OUTPUT = {
    "loop": b"338350\n", "sieve": b"**.*.*...*.*...*.*...*.....*.*.....*...*.*...*.....*.....*.*.....*...*.*.....*...*.....*.......*...",
}
DETECTORS = [
    "call", "iret", "jmp", "lar", "lds", "les", "lfs", "lgs", "lsl", "lss", "mov", "pop", "popf", "push", "pushf", "ret", "sgdt", "sidt",
    "sldt", "smsw", "str", "verr", "verw",
]
CURED_BY_UMIP = {"sgdt", "sidt", "sldt", "str", "smsw"}


@cache
def isa(name: str) -> Isa:
    return load(name)


def machinery(name: str, guest: str, monitor: str = "", depth: int = 1, size: int = 0, typed: bytes = b"") -> Machinery:
    path = guests.bundled(isa(name))[guest]
    board = guests.board_for(isa(name), path)
    program = guests.assembled(board, guests.source_of(path), str(path))
    if monitor:
        return guests.monitored(board, program, monitor, depth, typed)
    return guests.bare(board, program, size, typed)


def output(name: str, guest: str, monitor: str = "", depth: int = 1, typed: bytes = b"") -> tuple[Ending, bytes]:
    made = machinery(name, guest, monitor, depth, typed=typed)
    ending = made.session.run(20_000)
    return ending, bytes(made.session.output)


def compared(name: str, guest: str, monitor: str, depth: int = 1, typed: bytes = b"") -> Comparison:
    two = machinery(name, guest, monitor, depth, typed=typed)
    one = machinery(name, guest, size=len(two.storage) - two.kept, typed=typed)
    return compare(isa(name), one, two, two.monitors[-1].profile, 20_000)


def identical(name: str, guest: str, monitor: str, depth: int = 1, typed: bytes = b"") -> Machinery:
    """The guest runs freely to its end and is then, down to the last byte, as on the bare machine. Returns the monitored run."""
    two = machinery(name, guest, monitor, depth, typed=typed)
    one = machinery(name, guest, size=len(two.storage) - two.kept, typed=typed)
    assert (one.session.run(20_000), two.session.run(20_000)) == ("waiting", "waiting")
    assert one.session.output == two.session.output
    assert (one.session.steps, one.session.time, one.session.interrupts) == (two.session.steps, two.session.time, two.session.interrupts)
    assert alike(one.session.state, two.session.state)
    assert not any(monitor.counters.disturbed for monitor in two.monitors)
    return two


def listed(name: str) -> list[str]:
    return [guest for guest in guests.bundled(NAMES[name]) if not guest.startswith("detect/")]


ALL = [(name, guest) for name in NAMES for guest in listed(name)]


@pytest.mark.parametrize("depth", [1, 2])
def test_the_assist_takes_half_the_traps_away(depth: int) -> None:
    """What it changes is read back from the copies it keeps, interrupts it lets in are not missed, and nothing else is different."""
    two = identical("s370_vma", "os", "virtual_machine_assist", depth)
    without = identical("s370_vma", "os", "trap_and_emulate", depth)
    traps = [made.monitors[-1].counters.traps["privileged_operation"] for made in (two, without)]
    assert traps == [21, 42]


def test_the_guests_there_are() -> None:
    assert set(listed("third_generation")) == {"copy", "loop", "os", "sieve"}
    assert set(listed("s370")) == {"copy", "echo", "loop", "modify", "os", "sieve"}
    assert set(listed("x86")) == {"copy", "echo", "loop", "modify", "os", "sieve"}
    assert set(guests.bundled(isa("x86_vtx"))) == set(guests.bundled(isa("x86")))


@pytest.mark.parametrize(("name", "guest"), [(name, guest) for name, guest in ALL if guest in OUTPUT])
def test_output(name: str, guest: str) -> None:
    assert output(name, guest) == ("waiting", OUTPUT[guest])


def test_output_of_the_others() -> None:
    assert output("third_generation", "copy")[1] == b"CACM 17(7)\n"
    assert output("s370", "copy")[1] == output("x86", "copy")[1] == b"a string, moved twice\n"
    assert output("s370", "modify")[1] == output("x86", "modify")[1] == b"abcdefghijklmnopqrstuvwxyz\n"
    assert output("third_generation", "os")[1] == b"abcdefghij!\n"


def test_two_programs_share_a_processor() -> None:
    for name, prefix in (("s370", b""), ("x86", b"two programs: ")):
        ending, shown = output(name, "os")
        assert ending == "waiting"
        assert shown.startswith(prefix)
        text = shown.removeprefix(prefix)
        assert text.endswith(b"! done\n")
        assert sorted(text.removesuffix(b"! done\n")) == sorted(b"ABCDEFabcdef")
        assert b"ABCDEF" not in text  # the clock has taken the processor away


# ---- equivalence ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "guest"), [(name, guest) for name, guest in ALL if name != "x86"])
def test_equal_under_trap_and_emulate(name: str, guest: str) -> None:
    typed = b"two words\n" if guest == "echo" else b""
    made = identical(name, guest, "trap_and_emulate", typed=typed)
    assert made.monitors[0].counters.instructions == made.session.steps


@pytest.mark.parametrize("guest", ["loop", "sieve", "copy", "modify"])
def test_programs_without_critical_instructions_are_equal_on_x86_too(guest: str) -> None:
    identical("x86", guest, "trap_and_emulate")


@pytest.mark.parametrize(("monitor", "depth"), [("trap_and_emulate", 1), ("hybrid", 1), ("trap_and_emulate", 3), ("hybrid", 2)])
def test_the_small_system_of_s370_notices_nothing(monitor: str, depth: int) -> None:
    made = identical("s370", "os", monitor, depth)
    assert len(made.monitors) == depth
    for lower, upper in zip(made.monitors, made.monitors[1:], strict=False):
        # What traps to the upper monitor has trapped to the lower one, which handed it on.
        assert lower.counters.reflected >= upper.counters.emulated + upper.counters.reflected > 0


def test_step_by_step_too() -> None:
    found = compared("s370", "os", "trap_and_emulate", 2)
    assert found.divergence is None
    assert found.ending == "waiting"
    assert found.steps > 1500


def test_the_small_system_of_x86_diverges_under_ring_compression() -> None:
    found = compared("x86", "os", "trap_and_emulate").divergence
    assert found is not None
    assert found.direct
    assert found.step is not None
    assert found.step.decoded is not None
    assert found.step.decoded.form.instruction == "MOV"
    assert [(item.component, item.bare, item.monitored, item.reason) for item in found.differences] == [("ds.dpl", 3, 0, "record stale")]
    ending, shown = output("x86", "os", "trap_and_emulate")
    assert ending == "waiting"
    assert shown != output("x86", "os")[1]


def test_and_is_identical_under_vtx() -> None:
    made = identical("x86_vtx", "os", "vmx")
    counters = made.monitors[0].counters
    assert set(counters.exits) == {"vm_exit 30"}  # I/O instructions
    assert counters.traps["software_interrupt"] == counters.delivered - counters.traps["general_protection"] == 14
    assert compared("x86_vtx", "os", "vmx").divergence is None
    assert made.session.output == output("x86", "os")[1]


def test_and_under_a_hybrid_monitor() -> None:
    """Not by Theorem 3, which fails on the x86: this system's user programs contain none of its critical instructions."""
    identical("x86", "os", "hybrid")


@pytest.mark.parametrize(("name", "monitor", "depth"), [
    ("s370", "trap_and_emulate", 1), ("s370", "hybrid", 1), ("s370", "trap_and_emulate", 2), ("x86", "hybrid", 1), ("x86_vtx", "vmx", 1),
])
def test_interrupts_wait_and_are_never_lost(name: str, monitor: str, depth: int) -> None:
    typed = bytes(range(0x20, 0x60)) + b"\n"
    made = identical(name, "echo", monitor, depth, typed)
    assert bytes(made.session.output) == typed
    assert made.session.interrupts > len(typed)


# ---- the jitted machine underneath ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "monitor", "depth"), [
    ("third_generation", "", 1), ("third_generation", "trap_and_emulate", 2), ("s370", "", 1), ("s370", "trap_and_emulate", 3),
    ("s370", "hybrid", 1),
])
def test_the_processor_underneath_makes_no_difference(name: str, monitor: str, depth: int) -> None:
    path = guests.bundled(isa(name))["os"]
    board = guests.board_for(isa(name), path)
    program = guests.assembled(board, guests.source_of(path), str(path))
    runs = []
    for kind in ("plain", "jitted"):
        below = guests.processor(isa(name), kind)
        made = (guests.monitored(board, program, monitor, depth, processor=below) if monitor
                else guests.bare(board, program, processor=below))
        ending = made.session.run(20_000)
        state = made.session.state
        contents = bytes(state.memory["storage"][address] for address in range(made.guest_size))
        arrays = {key: list(values) for key, values in state.arrays.items()}
        work = [(m.counters.direct, m.counters.emulated, m.counters.interpreted, m.counters.reflected) for m in made.monitors]
        runs.append((ending, made.session.steps, bytes(made.session.output), dict(state.cells), arrays, contents, work))
    assert runs[0] == runs[1]


# ---- detecting a monitor -----------------------------------------------------------------------------------------------


def test_a_detector_for_every_critical_instruction() -> None:
    import json
    from pathlib import Path

    report = json.loads((Path(__file__).parent.parent / "reports" / "x86.json").read_text(encoding="utf-8"))
    critical = {item["name"].lower() for item in report["instructions"] if item["critical"] is True}
    assert critical == set(DETECTORS) == {guest.removeprefix("detect/") for guest in guests.bundled(NAMES["x86"]) if "/" in guest}


@pytest.mark.parametrize("detector", DETECTORS)
def test_detectors(detector: str) -> None:
    guest = f"detect/{detector}"
    assert output("x86", guest) == ("waiting", b"B")
    assert output("x86", guest, "trap_and_emulate") == ("waiting", b"M")
    assert output("x86", guest, "hybrid") == ("waiting", b"B")
    assert output("x86_umip", guest, "trap_and_emulate") == ("waiting", b"B" if detector in CURED_BY_UMIP else b"M")
    assert output("x86_vtx", guest, "vmx") == ("waiting", b"B")


@pytest.mark.parametrize("detector", DETECTORS)
def test_the_first_difference_is_at_the_instruction(detector: str) -> None:
    found = compared("x86", f"detect/{detector}", "trap_and_emulate").divergence
    assert found is not None
    assert found.direct
    assert found.step is not None
    assert found.step.decoded is not None
    assert found.step.decoded.form.instruction.lower() == detector


@pytest.mark.parametrize("monitor", ["", "trap_and_emulate"])
def test_a_board_of_another_copy_of_the_description(monitor: str) -> None:
    """Interrupts and components are looked up by what they are, not by name, so the run would go wrong without a word."""
    path = guests.bundled(isa("s370"))["os"]
    board = guests.board_for(isa("s370"), path)
    program = guests.assembled(board, guests.source_of(path), str(path))
    other = guests.processor(load("s370"), "plain")
    with pytest.raises(BoardError, match="another copy of s370") as caught:
        guests.monitored(board, program, monitor, processor=other) if monitor else guests.bare(board, program, processor=other)
    assert "load_board(processor.isa, path)" in caught.value.hint
    made = guests.bare(board, program)
    with pytest.raises(BoardError, match="another copy"):
        Session(other, made.session.state, board)
    with pytest.raises(BoardError, match="one of x86"):
        household(board, [program], "trap_and_emulate", guests.processor(isa("x86"), "plain"))
