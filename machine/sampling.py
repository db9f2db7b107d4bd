"""States to try instructions from: legal ones in most cases, somewhat changed in many, anything in some; biased to edges."""

from __future__ import annotations

import random
from collections.abc import Iterator

from isa_specs import core
from isa_specs.core import Isa
from machine.generated.facts import Analysis
from machine.plain import Machine
from machine.state import State

LISTED = 64  # cells of each space that get values of their own
TRIES = 600  # changes of a cell in the search for a legal state


def number(width: int, rng: random.Random) -> int:
    """A number with a bias to the edges: 0, 1, the greatest, the sign, small ones, one bit, and to multiples of 16."""
    ones = (1 << width) - 1
    match rng.randrange(10):
        case 0:
            return 0
        case 1:
            return rng.choice((1, ones, 1 << (width - 1), ones >> 1))
        case 2:
            return 1 << rng.randrange(width)
        case 3 | 4:
            return rng.randrange(min(256, ones + 1))
        case 5:
            return -rng.randrange(min(16, ones + 1)) & ones
        case 6 | 7:
            return rng.getrandbits(width) & ~15
    return rng.getrandbits(width)


def fixed(expressions: list[core.Expr]) -> Iterator[tuple[core.Cell, int]]:
    """The comparisons of a cell with a constant that the expressions ask for."""
    stack = list(expressions)
    while stack:
        e = stack.pop()
        if isinstance(e, core.Apply):
            stack += e.args
            match e.op.name, e.args:
                case "eq", (core.Read() as read, core.Const() as const):
                    yield read.cell, const.value


class LegalStates:
    """Searches for states that satisfy the invariants of a description, and ``conditions`` besides."""

    def __init__(self, isa: Isa, conditions: list[core.Expr] | None = None):
        self.isa, self.machine, self.analysis = isa, Machine(isa), Analysis(isa)
        self.invariants = [condition for _, condition in isa.invariants] + (conditions or [])
        self.identities = [space.identity for space in isa.spaces.values() if space.identity is not None]
        self._supports: dict[int, list[str]] = {}

    def support(self, condition: core.Expr) -> list[str]:
        """The cells a condition looks at."""
        if id(condition) not in self._supports:
            self._supports[id(condition)] = sorted(self.analysis.expression(condition).reads & set(self.isa.cells))
        return self._supports[id(condition)]

    def pool(self, count: int, identical: float) -> list[State]:
        """Legal states, the same for the same description; of that share all translations are the identity."""
        rng = random.Random(self.isa.name)
        found = [self.state(rng, identity=number % 10 < 10 * identical) for number in range(count)]
        return [state for state in found if state is not None]

    def state(self, rng: random.Random, *, identity: bool) -> State | None:
        """A legal state, None when the search found none."""
        state = State(self.isa)
        for cell in self.isa.cells.values():
            state.cells[cell.name] = number(cell.width, rng)
        for array in self.isa.arrays.values():
            state.arrays[array.name] = [number(array.width, rng) for _ in range(array.length)]
        for name, memory in state.memory.items():
            space = self.isa.spaces[name]
            memory.fill = number(space.cell_width, rng)
            for address in range(0, min(1 << space.address_width, LISTED)):
                memory[address] = number(space.cell_width, rng)
        conditions = list(self.invariants)
        if identity:
            conditions += self.identities
            for cell, value in fixed(self.identities):
                if rng.random() < 0.9:
                    state.cells[cell.name] = value
        return state if self._settle(state, conditions, rng) else None

    def _settle(self, state: State, conditions: list[core.Expr], rng: random.Random) -> bool:
        """Change cells at random until the conditions hold, never for the worse."""

        def failing() -> list[int]:
            return [n for n, condition in enumerate(conditions) if not self.machine.evaluate(condition, state)]

        wrong = failing()
        for _ in range(TRIES):
            if not wrong:
                return True
            name = rng.choice(self.support(conditions[rng.choice(wrong)]))
            old = state.cells[name]
            state.cells[name] = number(self.isa.cells[name].width, rng)
            now = failing()
            if len(now) > len(wrong):
                state.cells[name] = old
            else:
                wrong = now
        return False
