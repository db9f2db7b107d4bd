"""The VM map of a profile on the rows of a batch: what it makes of virtual states, and what has to be true of both after a step.

CACM 17(7), 1974, "Virtual machine map". :mod:`machine.monitored` says the same of one pair of states, and is the definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from isa_specs.core import Cell, Const, Expr, Monitor
from isa_specs.evaluate import NotPure
from machine import columns
from machine.batch import Batch
from machine.columns import Column, Rows
from machine.errors import MachineError
from machine.generated.facts import Analysis
from machine.plain import Machine
from machine.state import State


class BatchMap:
    """f of one profile, whose open controls are ``controls`` (zero where there is none).

    Raises :class:`MachineError` for a profile that maps a component to what is in storage, which no row holds."""

    def __init__(self, batch: Batch, machine: Machine, profile: Monitor, controls: Mapping[str, int]):
        self.batch, self.machine, self.profile, self.isa = batch, machine, profile, machine.isa
        self.owned = {name for name, keep in profile.keeps.items() if keep.how != "guest"}
        self.values: dict[str, tuple[Cell, Expr]] = {}
        for name, keep in profile.keeps.items():
            if isinstance(keep.target, Cell):
                value = Const(keep.target.width, controls.get(name, 0)) if keep.how == "control" else keep.value
                if value is not None:
                    self.values[name] = keep.target, value
        analysis = Analysis(self.isa)
        self.reads = {name: analysis.expression(value).reads for name, (_, value) in self.values.items()}
        self._computed = {name: (cell, self._compiled(name, value)) for name, (cell, value) in self.values.items()}
        self._followed = [self._computed[name] for name in self.values if profile.keeps[name].how == "map"]
        followed = {cell.name for cell, _ in self._followed}
        self._guest = ~self._columns(self.owned)
        self._real = self._columns(self.owned - followed)
        self._virtual = self._columns(self.owned - set(profile.copies()))

    def _compiled(self, name: str, value: Expr) -> Callable[[Rows], Column]:
        if self.reads[name] & set(self.isa.spaces):
            raise MachineError(f"{self.profile.name} maps {name} to what is in storage")
        try:
            return columns.compiled(self.batch, value)
        except NotPure:
            kind = np.uint64 if value.width <= 64 else object
            return lambda rows: np.array([self.machine.evaluate(value, self.batch.state(row)) for row in rows], kind)

    def columns(self, names: Iterable[str]) -> Rows:
        """The columns of those cells and arrays, in the order of the state."""
        layout, wanted, found = self.batch.generated.layout, set(names), list[int]()
        for name, room in [*layout.cells.items(), *layout.arrays.items()]:
            if name in wanted:
                first = self.batch.column(name)
                found += range(first, first + room.limbs * room.length)
        return np.array(found, np.int64)

    def _columns(self, names: Iterable[str]) -> NDArray[np.bool_]:
        chosen = np.zeros(self.batch.state_words, np.bool_)
        chosen[self.columns(names)] = True
        return chosen

    # ---- before a step -------------------------------------------------------------------

    def give(self, virtual: Rows, real: Rows) -> None:
        """Put into the real states what the profile computes from the virtual ones."""
        for cell, value in self._computed.values():
            columns.write(self.batch, cell, real, value(virtual))

    def image(self, virtual: State) -> State:
        """f of one state, the monitor's own values being the guest's."""
        real = virtual.copy()
        for name, (_, value) in self.values.items():
            real.cells[name] = self.machine.evaluate(value, virtual)
        return real

    # ---- after it ------------------------------------------------------------------------

    def commutes(self, v: Rows, r: Rows, before_v: Rows, before_r: Rows) -> NDArray[np.bool_]:
        """Of which rows the real state is the map of the virtual one, what the map forgets being as it was on both sides."""
        same = ~(_differ(v, r, self._guest) | _differ(r, before_r, self._real) | _differ(v, before_v, self._virtual))
        for cell, value in self._followed:  # a copy is among these: it has to be what it is a copy of
            same &= columns.read(self.batch, cell, r) == value(v)
        return same


def _differ(rows: Rows, others: Rows, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows are not as the others in some of these columns: all are compared, as they lie together."""
    found: NDArray[np.bool_] = ((rows[:, : len(chosen)] != others[:, : len(chosen)]) & chosen).any(axis=1)
    return found
