"""A state made simpler, as long as it shows what it is to show."""

from __future__ import annotations

from collections.abc import Callable

from machine.state import Place, State

MAX_TRIES = 400


def shrink(state: State, shows: Callable[[State], bool]) -> State:
    """A state near ``state`` with as much of it zero as possible that still ``shows`` it: all places at once, then halves of them."""
    best, tries = state, 0

    def attempt(places: list[Place]) -> bool:
        nonlocal best, tries
        tries += 1
        if tries > MAX_TRIES:
            return False
        candidate = best.copy()
        for place in places:
            if place[0] in candidate.memory:
                candidate.memory[place[0]].pop(place[1], None)
            candidate.put(place, 0)
        if not shows(candidate):
            return False
        best = candidate
        return True

    def zero(places: list[Place]) -> None:
        if attempt(places) or len(places) == 1:
            return
        middle = len(places) // 2
        zero(places[:middle])
        zero(places[middle:])

    held = [place for place in sorted(state.places()) if state.get(place)]
    if held:
        zero(held)
    return best


def shown(state: State) -> list[str]:
    """What is not zero in a state, a line each; bytes that follow each other in one."""
    lines = [f"{name} = {value:#x}" for name, value in state.cells.items() if value]
    lines += [f"{name}[{i}] = {value:#x}" for name, values in state.arrays.items() for i, value in enumerate(values) if value]
    for name, memory in state.memory.items():
        run: list[int] = []
        for address in sorted(at for at, value in memory.items() if value):
            if run and (address != run[-1] + 1 or len(run) == 16 or state.isa.spaces[name].cell_width != 8):
                lines.append(_run(state, name, run))
                run = []
            run.append(address)
        if run:
            lines.append(_run(state, name, run))
    return lines


def _run(state: State, name: str, run: list[int]) -> str:
    values = [state.memory[name][address] for address in run]
    text = bytes(values).hex(" ") if state.isa.spaces[name].cell_width == 8 else f"{values[0]:#x}"
    return f"{name}({run[0]:#x}) = {text}"
