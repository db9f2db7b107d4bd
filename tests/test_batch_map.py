"""The VM map on rows of a batch says what its definition says of one pair of states, and what is planted is found."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isa_specs.core import Apply, Choice, Concat, Const, Expr, Extend, Extract, Keep, Monitor, Read
from isa_specs.load import load, loads
from isa_specs.ops import OPERATORS
from machine import columns
from machine.batch import Batch, random_rows
from machine.batch_map import BatchMap
from machine.cases import code_space
from machine.errors import MachineError
from machine.innocuous import BatchSquares
from machine.jitted import JittedMachine
from machine.plain import Machine

# Controls the checker finds (reports/x86_vtx.json): what the processor of VT-x is to leave to the monitor.
CONTROLS = {
    "vmx": {"cr0_mask.pe": 1, "cr0_mask.ne": 1, "cr0_mask.wp": 1, "cr0_mask.nw": 1, "cr0_mask.cd": 1, "cr0_mask.pg": 1, "cr4_mask.pse": 1,
            "cr4_mask.mce": 1, "cr4_mask.pge": 1, "cr4_mask.vmxe": 1, "primary.cr3_load_exiting": 1, "primary.cr3_store_exiting": 1,
            "primary.unconditional_io_exiting": 1},
}


@cache
def jitted(name: str) -> JittedMachine:
    return JittedMachine(load(name))


# ---- expressions over columns ----------------------------------------------------------------------------------


SPEC = """
isa wide "Cells of all widths"
bits lsb0
bytes little

state
  a : bits(1) data
  b : bits(8) data
  c : bits(37) data
  d : bits(64) data
  e : bits(65) data
  f : bits(200) data
  pc : bits(16) counter
  m : bit mode
  k : bits(16)[4] resource control
  t : bits(16) resource control

space storage : bits(16) -> byte data

trap denied privileged nullify

format F = op:8 n:8
field n : bits(8)
fetch (a : bits(16))
  return storage(a, 8)
illegal denied

instruction ADD "Add" F 0x01
  b <- b + n

mode supervisor when m == 0
mode user when m == 1

monitor reads_an_array
  m -> 1
  k : host
  t -> k[low(b, 2)]

monitor reads_storage
  m -> 1
  k : host
  t -> storage(c[15:0], 16)
"""


@cache
def wide() -> tuple[Machine, Batch]:
    isa = loads(SPEC)
    return Machine(isa), Batch(JittedMachine(isa), "storage", threads=1)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """Compiling raises the limit of recursion, which Hypothesis does not want to see while it runs."""
    wide()


def agrees(machine: Machine, batch: Batch, expr: Expr, count: int, seed: int) -> None:
    rows = random_rows(batch, count, seed)
    values = columns.compiled(batch, expr)(rows)
    assert values.shape == (count,)
    assert [int(value) for value in values] == [machine.evaluate(expr, batch.state(row)) for row in rows]


def fitted(expr: Expr, width: int, signed: bool) -> Expr:
    """The expression, so many bits wide."""
    return Extend(expr, width, signed) if expr.width < width else Extract(expr, width - 1, 0)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> Expr:
    kind = draw(st.integers(0, 6 if depth else 1))
    if kind == 0:
        width = draw(st.sampled_from([1, 8, 37, 64, 65, 130]))
        return Const(width, draw(st.integers(0, (1 << width) - 1)))
    if kind == 1:
        return Read(wide()[0].isa.cells[draw(st.sampled_from("abcdef"))])
    arg = draw(expressions(depth=depth - 1))
    if kind == 2:
        low = draw(st.integers(0, arg.width - 1))
        return Extract(arg, draw(st.integers(low, arg.width - 1)), low)
    if kind == 3:
        return Extend(arg, arg.width + draw(st.integers(0, 70)), draw(st.booleans()))
    other = draw(expressions(depth=depth - 1))
    if kind == 4:
        return Concat((arg, other))
    other = fitted(other, arg.width, draw(st.booleans()))
    if kind == 5:
        return Choice(fitted(draw(expressions(depth=depth - 1)), 1, False), arg, other)
    op = OPERATORS[draw(st.sampled_from(sorted(OPERATORS)))]
    return Apply(op, (arg,) if op.name in ("neg", "not") else (arg, other))


@given(expressions(), st.integers(0, 1000))
def test_made_expressions(expr: Expr, seed: int) -> None:
    agrees(*wide(), expr, 9, seed)


@pytest.mark.parametrize("name", ["x86_vtx", "s370_vma"])
def test_maps_of_profiles(name: str) -> None:
    machine = jitted(name)
    batch, plain = Batch(machine, code_space(machine.isa), threads=1), Machine(machine.isa)
    maps = {id(keep.value): keep.value for monitor in machine.isa.monitors.values() for keep in monitor.keeps.values() if keep.value}
    assert any(not isinstance(value, Const) for value in maps.values())
    for value in maps.values():
        agrees(plain, batch, value, 40, 7)


def test_what_takes_more_than_cells() -> None:
    machine, batch = wide()
    made = BatchMap(batch, machine, machine.isa.monitors["reads_an_array"], {})
    virtual = random_rows(batch, 20, 1)
    real = virtual.copy()
    made.give(virtual, real)
    for row, image in zip(virtual, real, strict=True):
        state = batch.state(row)
        assert batch.state(image)["t"] == state["k"][state["b"] % 4]
    with pytest.raises(MachineError, match="maps t to what is in storage"):
        BatchMap(batch, machine, machine.isa.monitors["reads_storage"], {})


# ---- squares -----------------------------------------------------------------------------------------------------


def changed(monitor: Monitor, *, host: tuple[str, ...] = (), constant: tuple[str, ...] = ()) -> Monitor:
    """The profile, with some components not the guest's but the host's, and some maps to 0."""
    keeps = dict(monitor.keeps)
    for name in host:
        keeps[name] = Keep(keeps[name].target, "host")
    for name in constant:
        keeps[name] = replace(keeps[name], value=Const(keeps[name].value.width, 0))  # type: ignore[union-attr]
    return replace(monitor, keeps=keeps)


def squares(name: str, monitor: str, **changes: tuple[str, ...]) -> BatchSquares:
    machine = jitted(name)
    return BatchSquares(machine, changed(machine.isa.monitors[monitor], **changes), CONTROLS.get(monitor))


@pytest.mark.parametrize(("name", "monitor", "changes", "every", "expected"), [
    ("s370_vma", "virtual_machine_assist", {}, 1, {"intercepted", "equal"}),
    ("s370_vma", "virtual_machine_assist", {"host": ("psw.key",), "constant": ("virtual_psw.io", "vcr8")}, 1,
     {"intercepted", "equal", "unequal"}),
    ("x86_vtx", "vmx", {"host": ("eflags.if", "ds.sel", "cr0.ts")}, 3, {"intercepted", "equal", "unequal"}),
    ("x86_vtx", "trap_and_emulate", {}, 5, {"intercepted", "equal", "unequal"}),
])
def test_the_batch_says_what_the_definition_says(name: str, monitor: str, changes: dict[str, tuple[str, ...]], every: int,
                                                 expected: set[str]) -> None:
    made, did = squares(name, monitor, **changes), set()
    background = made.sampler.background(0, 0)
    made.sampler.lay(background)
    made.batch.choose(bare=False, undefined=0)
    for form in made.isa.forms[::every]:
        for v, r in made.rows(form, 0, 0, 4):
            before_v, before_r = v.copy(), r.copy()
            for said, one, two in zip(made.judged(v, r).tolist(), before_v, before_r, strict=True):
                square = made.square(one, two, background)
                did.add(said)
                told = "intercepted" if square.intercepted else "equal" if square.commutes else "unequal"
                assert said == told, (form, square.virtual.outcome, square.real.outcome, square.differences)
                assert square.real_before.cells == made.batch.state(two).cells, form  # f is what the definition has
    assert did == expected


def wrong(made: BatchSquares, *names: str) -> dict[str, bool]:
    """Of which instructions a square does not commute."""
    return {name: any(made.lot(form, 0, 0, 1000).wrong for form in made.isa.instructions()[name]) for name in names}


def test_a_component_that_is_not_swapped() -> None:
    names = ("STI", "CLD", "PUSHF", "NOP")
    assert wrong(squares("x86_vtx", "vmx"), *names) == dict.fromkeys(names, False)
    assert wrong(squares("x86_vtx", "vmx", host=("eflags.if",)), *names) == {"STI": True, "CLD": False, "PUSHF": True, "NOP": False}


def test_a_map_that_is_wrong_by_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    right = BatchMap.give

    def shifted(self: BatchMap, virtual: columns.Rows, real: columns.Rows) -> None:
        right(self, virtual, real)
        real[:, self.batch.column("cr0_shadow")] ^= 0x20

    made = squares("x86_vtx", "vmx")
    assert wrong(made, "SMSW", "ADD") == {"SMSW": False, "ADD": False}
    monkeypatch.setattr(BatchMap, "give", shifted)
    assert wrong(made, "SMSW")["SMSW"]
    lot = made.lot(made.isa.instructions()["SMSW"][0], 0, 0, 100)
    assert lot.did["unequal"] > 0
    assert lot.wrong[0].real.decoded is not None
    assert lot.wrong[0].real.decoded.form.instruction == "SMSW"


def test_what_translations_look_at_is_the_same_for_both() -> None:
    """Under VT-x guests run with paging, so the virtual machine has it on, and tables that lead somewhere."""
    made = squares("x86_vtx", "vmx")
    form = made.isa.instructions()["ADD"][0]
    made.sampler.lay(made.sampler.background(0, 0))
    made.batch.choose(bare=False, undefined=0)
    completed = 0
    for v, r in made.rows(form, 0, 0, 2000):
        for name in ("cr0.pg", "cr3", "cpl", "cr0.wp"):
            column = made.batch.column(name)
            assert np.array_equal(v[:, column], r[:, column]), name
        assert v[:, made.batch.column("cr0.pg")].all()
        made.batch.run(v)
        completed += int((made.batch.outcomes(v)[:, 1] >= 0).sum())
    assert completed > 400
