"""The VM map and its square on a little machine with one instruction for each way to go wrong."""

from __future__ import annotations

import pytest

from isa_specs.core import Form, Monitor
from isa_specs.encoding import Decoded
from isa_specs.load import loads
from machine.errors import MachineError
from machine.monitored import Square, compare_square, virtual_to_real
from machine.plain import Machine
from machine.state import reset

SPEC = """
isa little "Little"
bits lsb0
bytes little

state
  r : bits(16)[4] data
  pc : bits(16) counter
  cpl : bits(2) mode
  iflag : bit resource interrupt
  iopl : bits(2) resource protection
  table : bits(16) relocation
  limit : bits(16) relocation
  vector : bits(16) resource trap_vector

space storage : bits(16) -> byte data
space entries : bits(16) -> byte at table onto storage
space keys : bits(4) -> bits(7) resource protection

trap denied privileged nullify
  pc <- vector
trap broken program nullify
  pc <- vector

format F = op:8 n:8
field n : bits(8)
fetch (a : bits(16))
  return storage(a, 8)
illegal broken

instruction POPF "Set the interrupt flag when allowed" F 0x01
  iflag <- n[0] when cpl <= iopl
instruction CLI "Clear the interrupt flag" F 0x02
  trap denied when cpl > iopl
  iflag <- 0
instruction STORE "Store the table's address" F 0x03
  r[0] <- table
instruction LOAD "Load an entry" F 0x04
  r[1] <- entries(zext(n, 16), 16)
instruction MARK "Mark an entry" F 0x05
  entries(zext(n, 16), 8) <- 0xFF
instruction MODE "Read the mode" F 0x06
  r[2] <- zext(cpl, 16)
instruction UP "Enter mode 0" F 0x07
  cpl <- 0
instruction MOVE "Move the table" F 0x08
  table <- r[3]
instruction FAULT "A program exception in mode 0 only" F 0x09
  trap broken when cpl == 0
instruction KEY "Set a key" F 0x0A
  keys(low(n, 4)) <- 5
instruction ADD "Add" F 0x0B
  r[0] <- r[0] + r[1]

mode supervisor when cpl == 0
mode user when cpl == 3

monitor ring_compression
  traps memory, privileged
  cpl -> 3
  iflag : pinned 1
  iopl : control
  table, vector, keys : host
  limit : guest
"""


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine(loads(SPEC))


@pytest.fixture
def monitor(machine: Machine) -> Monitor:
    return machine.isa.monitors["ring_compression"]


def form(machine: Machine, name: str) -> Form:
    return machine.isa.instructions()[name][0]


def square(machine: Machine, name: str, n: int = 0, **cells: int) -> Square:
    """In virtual mode 0 unless said otherwise, with the table at 0x100, on a host whose table is at 0x800."""
    virtual = reset(machine.isa)
    virtual["table"], virtual["r"] = 0x100, [1, 2, 3, 4]
    virtual.memory["storage"].load(0x100, bytes(range(1, 17)))
    for cell, value in cells.items():
        virtual[cell] = value
    decoded = Decoded(form(machine, name), {"op": 0, "n": n}, 2)
    host = {"table": 0x800, "vector": 0x40}
    return compare_square(machine, machine.isa.monitors["ring_compression"], virtual, host, controls={"iopl": 0}, decoded=decoded)


def reasons(result: Square) -> list[tuple[str, str]]:
    return [(difference.component, difference.reason) for difference in result.differences]


def test_the_map_takes_each_component_from_its_owner(machine: Machine, monitor: Monitor) -> None:
    virtual, host = reset(machine.isa), reset(machine.isa)
    virtual["cpl"], virtual["iopl"], virtual["limit"], virtual["pc"], virtual["table"] = 1, 3, 7, 0x10, 0x100
    virtual.memory["storage"][0x103] = 9
    host["table"], host["limit"], host["r"] = 0x800, 99, [5, 5, 5, 5]
    host.memory["keys"][2] = 3
    real = virtual_to_real(machine, monitor, virtual, host, {"iopl": 2}, [("entries", 3)])
    names = ("cpl", "iflag", "iopl", "table", "limit", "pc")
    assert [real[name] for name in names] == [3, 1, 2, 0x800, 7, 0x10]
    assert (real["r"], real.memory["keys"][2]) == ([0, 0, 0, 0], 3)
    assert (real.memory["storage"][0x103], real.memory["storage"][0x803]) == (9, 9)


def test_a_control_needs_a_value(machine: Machine, monitor: Monitor) -> None:
    with pytest.raises(MachineError, match="control 'iopl'"):
        virtual_to_real(machine, monitor, reset(machine.isa), {})


def test_an_innocuous_instruction_commutes(machine: Machine) -> None:
    result = square(machine, "ADD")
    assert result.commutes
    assert not result.intercepted
    assert result.real_after["r"] == [3, 2, 3, 4]


def test_a_trap_to_the_monitor_commutes(machine: Machine) -> None:
    result = square(machine, "CLI", iflag=1)
    assert result.commutes
    assert result.intercepted


def test_a_silently_ignored_change_leaves_the_record_stale(machine: Machine) -> None:
    result = square(machine, "POPF", n=1)
    assert reasons(result) == [("iflag", "record stale")]
    [difference] = result.differences
    assert (difference.virtual_before, difference.virtual_after, difference.real_before, difference.real_after) == (0, 1, 1, 1)
    assert square(machine, "POPF", n=1, iflag=1).commutes


def test_reading_what_the_host_owns_differs(machine: Machine) -> None:
    assert reasons(square(machine, "STORE")) == [("r[0]", "result differs")]
    assert reasons(square(machine, "MODE")) == [("r[2]", "result differs")]
    assert square(machine, "MODE", cpl=3).commutes


def test_a_moved_table_with_equal_contents_makes_no_difference(machine: Machine) -> None:
    result = square(machine, "LOAD", n=4)
    assert result.commutes
    assert result.real_after["r"] == [1, 0x0605, 3, 4]
    assert square(machine, "MARK", n=4).commutes


def test_changing_what_the_host_owns(machine: Machine) -> None:
    assert reasons(square(machine, "MOVE")) == [("table", "host state changed"), ("table", "record stale")]
    assert reasons(square(machine, "KEY", n=3)) == [("keys(0x3)", "host state changed"), ("keys(0x3)", "record stale")]


def test_a_mapped_component_that_changes(machine: Machine) -> None:
    assert reasons(square(machine, "UP", cpl=2)) == [("cpl", "result differs"), ("cpl", "record stale")]


def test_traps_the_guest_gets_must_be_the_same(machine: Machine) -> None:
    result = square(machine, "FAULT")
    assert reasons(result) == [("trap", "trap differs")]
    assert (result.differences[0].virtual_after, result.differences[0].real_after) == ("broken", "none")
    assert square(machine, "FAULT", cpl=1).commutes


def test_the_instruction_may_come_from_storage(machine: Machine, monitor: Monitor) -> None:
    virtual = reset(machine.isa)
    virtual.memory["storage"].load(0, b"\x00\x03")
    result = compare_square(machine, monitor, virtual, {"table": 0x800}, controls={"iopl": 0})
    assert result.real.decoded is not None
    assert result.real.decoded.form.instruction == "STORE"
    assert reasons(result) == [("r[0]", "result differs")]


def test_tables_that_collide_on_the_host_are_refused(machine: Machine, monitor: Monitor) -> None:
    isa = loads(SPEC.replace("space keys", "space more : bits(16) -> byte at limit onto storage\nspace keys").replace(
        "table, vector", "table, limit, vector").replace("  limit : guest\n", ""))
    virtual = reset(isa)
    virtual["table"], virtual["limit"] = 0x100, 0x200
    virtual.memory["storage"][0x200] = 1
    profile = isa.monitors["ring_compression"]
    host = {"table": 0x300, "limit": 0x300}
    with pytest.raises(MachineError, match=r"more\(0x0\) and entries\(0x0\) are both at storage\(0x300\)"):
        virtual_to_real(Machine(isa), profile, virtual, host, {"iopl": 0}, [("entries", 0), ("more", 0)])
