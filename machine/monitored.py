"""Popek and Goldberg's VM map, made concrete: the real state under a monitor, and the square that must commute.

CACM 17(7), 1974, "Virtual machine map": f takes a state of the virtual machine to the state the real machine is in
while the guest runs. Here f comes from a monitor profile, which says for each component what the real machine holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from isa_specs.core import Array, Cell, Keep, Monitor, Space
from isa_specs.encoding import Decoded
from machine.activation import EXECUTE, READ, WRITE
from machine.errors import MachineError
from machine.outcomes import Next, Trapped
from machine.plain import Machine, StepResult
from machine.state import Memory, Place, Recorder, State

Reason = Literal["record stale", "result differs", "host state changed", "trap differs"]
Values = Mapping[str, int | list[int] | Memory]


@dataclass(frozen=True, slots=True)
class Difference:
    """Why a square does not commute, at one component (``gpr[3]``, ``storage(0x100)``) or ``trap``."""

    component: str
    virtual_before: int | str
    virtual_after: int | str
    real_before: int | str
    real_after: int | str
    reason: Reason


@dataclass(slots=True)
class Square:
    """One instruction on a virtual state v and on f(v). ``intercepted``: the real run trapped to the monitor, which takes over."""

    virtual: StepResult
    real: StepResult
    virtual_before: State
    virtual_after: State
    real_before: State
    real_after: State
    intercepted: bool
    differences: list[Difference] = field(default_factory=list)

    @property
    def commutes(self) -> bool:
        return not self.differences


def virtual_to_real(
    machine: Machine,
    monitor: Monitor,
    virtual: State,
    host: State | Values,
    controls: Mapping[str, int] | None = None,
    views: Iterable[Place] = (),
) -> State:
    """f(v). Host components take ``host``'s values (v's own where it is silent), controls those of ``controls``.

    Storage is the guest's, shared. Where the map moves a table or a window, ``views`` says which addresses of it must
    hold the same on both sides, as (space, address), tables first. Raises :class:`MachineError` when the host's places
    for two of them collide."""
    real = virtual.copy()
    for component in machine.isa.components():
        keep = monitor.keeps.get(component.name)
        if keep is None or keep.how == "guest":
            continue
        if keep.how == "host":
            if isinstance(host, State) or component.name in host:
                _give(real, component, host[component.name])
        else:
            _give(real, component, _constant(machine, keep, virtual, controls or {}))
    held: dict[Place, tuple[int, str]] = {}
    for view in views:
        there, here = _place(machine, view, virtual), _place(machine, view, real)
        if there is None or here is None:
            continue
        value = virtual.get(there)
        if held.setdefault(here, (value, _shown(view)))[0] != value:
            raise MachineError(f"{_shown(view)} and {held[here][1]} are both at {_shown(here)} on the host, with unlike contents")
        real.put(here, value)
    return real


def _constant(machine: Machine, keep: Keep, virtual: State, controls: Mapping[str, int]) -> int:
    name = keep.target.name
    if keep.how == "control":
        if name not in controls:
            raise MachineError(f"no value for the control '{name}'")
        return controls[name]
    assert keep.value is not None
    return machine.evaluate(keep.value, virtual)


def _give(state: State, component: Cell | Array | Space, value: int | list[int] | Memory) -> None:
    if not isinstance(component, Space):
        assert not isinstance(value, Memory)
        state[component.name] = value
    elif isinstance(value, Memory):
        state.memory[component.name] = value.copy()
    else:
        assert isinstance(value, int)
        state.memory[component.name] = Memory(fill=value)


def _place(machine: Machine, view: Place, state: State) -> Place | None:
    """Where the viewed address is, by whatever kind of access is allowed."""
    found = (machine.place(machine.isa.spaces[view[0]], view[1], state, access) for access in (READ, WRITE, EXECUTE))
    return next((place for place in found if place is not None), None)


def compare_square(
    machine: Machine,
    monitor: Monitor,
    virtual: State,
    host: State | Values,
    *,
    controls: Mapping[str, int] | None = None,
    decoded: Decoded | None = None,
    views: Iterable[Place] = (),
) -> Square:
    """Run one instruction on ``virtual`` and on f(virtual), and compare.

    The instruction is ``decoded``, or the one at the counter. ``views`` are added to the addresses either run uses."""
    seen = dict.fromkeys(views)
    virtual_after, recorder = virtual.copy(), Recorder()
    virtual_step = _one(machine, decoded, virtual_after, recorder)
    seen |= recorder.views
    while True:
        known = len(seen)
        real_before = virtual_to_real(machine, monitor, virtual, host, controls, seen)
        real_after, recorder = real_before.copy(), Recorder()
        real_step = _one(machine, decoded, real_after, recorder)
        seen |= recorder.views
        # Addresses only the real run uses had no equal contents yet: map them too and run again.
        if len(seen) == known:
            break
    square = Square(virtual_step, real_step, virtual, virtual_after, real_before, real_after, False)
    _judge(machine, monitor, square, list(seen))
    return square


def _one(machine: Machine, decoded: Decoded | None, state: State, recorder: Recorder) -> StepResult:
    return machine.step(state, recorder=recorder) if decoded is None else machine.perform(decoded, state, recorder)


def _judge(machine: Machine, monitor: Monitor, square: Square, views: list[Place]) -> None:
    virtual, real = square.virtual.outcome, square.real.outcome
    if isinstance(real, Trapped) and real.kind in monitor.traps:
        square.intercepted = True
        return
    if _cause(virtual) != _cause(real):
        square.differences.append(Difference("trap", "", _told(virtual), "", _told(real), "trap differs"))
        return
    square.differences += _Comparison(machine, monitor, square, views).differences()


def _cause(outcome: Next | Trapped) -> object:
    return (outcome.trap, outcome.args) if isinstance(outcome, Trapped) else None


def _told(outcome: Next | Trapped) -> str:
    return str(outcome) if isinstance(outcome, Trapped) else "none"


class _Comparison:
    """Component by component: is f(i(v)) = i(f(v)), and is what the monitor keeps to itself as it was?"""

    def __init__(self, machine: Machine, monitor: Monitor, square: Square, views: list[Place]):
        self.machine = machine
        self.monitor = monitor
        self.square = square
        self.copies = monitor.copies()
        self.moved: dict[Place, tuple[Place, Place]] = {}
        for view in views:
            there = _place(machine, view, square.virtual_before)
            here = _place(machine, view, square.real_before)
            if there is not None and here is not None and there != here:
                self.moved[view] = there, here

    def differences(self) -> list[Difference]:
        found = []
        for component in self.machine.isa.components():
            for place in self._indices(component):
                found += self._at(component, place)
        for view, (there, here) in self.moved.items():
            found += self._unequal(_shown(view), there, here, lambda after: after)
        return found

    def _indices(self, component: Cell | Array | Space) -> list[Place]:
        if isinstance(component, Array):
            return [(component.name, i) for i in range(component.length)]
        if isinstance(component, Cell):
            return [(component.name, 0)]
        # What is compared through a window or table is not compared a second time where it lies.
        elsewhere = {place for pair in self.moved.values() for place in pair}
        square = self.square
        states = (square.virtual_before, square.virtual_after, square.real_before, square.real_after)
        used = {address for state in states for address in state.memory[component.name]}
        return [place for address in sorted(used) if (place := (component.name, address)) not in elsewhere]

    def _at(self, component: Cell | Array | Space, place: Place) -> list[Difference]:
        square, keep = self.square, self.monitor.keeps.get(component.name)
        shown = _shown(place, component)
        if keep is None or keep.how == "guest":
            return self._unequal(shown, place, place, lambda after: after)
        found = []
        if keep.how == "map":
            found += self._unequal(shown, place, place, lambda _: _constant(self.machine, keep, square.virtual_after, {}))
        elif square.real_after.get(place) != square.real_before.get(place):
            found.append(self._difference(shown, place, place, "host state changed"))
        if component.name in self.copies:
            now = square.virtual_after.get(place)
            stale = any(square.real_after.get((copy.name, 0)) != now for copy in self.copies[component.name])
        else:
            stale = square.virtual_after.get(place) != square.virtual_before.get(place)
        if stale:
            found.append(self._difference(shown, place, place, "record stale"))
        return found

    def _unequal(self, shown: str, there: Place, here: Place, mapped: Callable[[int], int]) -> list[Difference]:
        same = mapped(self.square.virtual_after.get(there)) == self.square.real_after.get(here)
        return [] if same else [self._difference(shown, there, here, "result differs")]

    def _difference(self, shown: str, there: Place, here: Place, reason: Reason) -> Difference:
        square = self.square
        return Difference(shown, square.virtual_before.get(there), square.virtual_after.get(there),
                          square.real_before.get(here), square.real_after.get(here), reason)


def _shown(place: Place, component: Cell | Array | Space | None = None) -> str:
    if isinstance(component, Cell):
        return place[0]
    return f"{place[0]}[{place[1]}]" if isinstance(component, Array) else f"{place[0]}({place[1]:#x})"
