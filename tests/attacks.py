"""``python -m tests.attacks``: guests that do whatever they like, beside a neighbour, and reach neither it nor the host.

Each household has an attacker of random instructions, illegal ones among them, whose traps lead to random places in it. It is let
loose with random registers again and again, its storage mostly as the last time has left it. After every round the host's storage, the
neighbour's storage and the monitor's registers have to be as they were, and the attacker as on the bare machine, to the last byte.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from isa_specs.load import load
from isa_specs.program import Program
from machine import guests
from machine.board import Board
from machine.monitors.monitor import Monitor
from machine.monitors.processor import Processor
from machine.scheduler import Household, household
from machine.session import Session
from machine.state import State
from tests.test_monitors import PROVED, random_code, scrambled

ROUNDS = 40  # with the same storage
BUDGET = 40_000  # instructions of a round
SLICE = 500
PATIENCE = 0.05  # seconds after which a round ends with its slice
CODE = 3072  # bytes
VECTORS = Path(__file__).with_name("attackers")
STUCK = 0.98  # of a slice are traps that lead to traps: nothing new will come
CLOCK = 10_000  # instructions between a clock's interrupts
HOST = b"the host's part of storage; "


@dataclass
class Tally:
    """What a campaign came to."""

    instructions: int = 0
    rounds: int = 0
    direct: int = 0
    emulated: int = 0
    interpreted: int = 0
    reflected: int = 0
    delivered: int = 0


def boards(name: str) -> Board:
    isa = load(name)
    board = guests.board_for(isa, guests.bundled(isa)["os"])
    return dataclasses.replace(board, clocks=tuple(dataclasses.replace(clock, every=CLOCK) for clock in board.clocks))


def attack(board: Board, monitor: str, seed: int, processor: Processor, tally: Tally) -> None:
    """One household. Raises AssertionError with what has happened."""
    rng = random.Random(seed)
    programs = [attacker_of(board, rng) for _ in range(2)]
    house = household(board, programs, monitor, processor, host_contents=HOST)
    attacker = house.guests[0]
    attacker.session.run(1)  # the monitor has put its program and tables into its own part
    bare = guests.bare(board, programs[0], len(attacker.window), processor=processor)
    bare.session.run(1)
    host, _, neighbour = house.digests()
    for number in range(ROUNDS):
        told = f"{board.isa.name} under {monitor}, seed {seed}, round {number}: "
        place = rng.getrandbits(64)
        states = [attacker.session.state, bare.session.state]
        for state in states:
            let_loose(board, state, programs[0], random.Random(place))
        one, two = (Session(processor, state, board) for processor, state in zip((attacker.monitor, bare.session.processor), states,
                                                                                     strict=True))
        tally.instructions += together(one, two, told, attacker.monitor)
        tally.rounds += 1
        check(house, host, neighbour, attacker.window.digest() == bare.storage.digest(), told)
        assert not attacker.monitor.counters.disturbed, f"{told}the host's registers have changed"
    counters = attacker.monitor.counters
    tally.direct += counters.direct
    tally.emulated += counters.emulated
    tally.interpreted += counters.interpreted
    tally.reflected += counters.reflected
    tally.delivered += counters.delivered


def attacker_of(board: Board, rng: random.Random) -> Program:
    """A program that begins as the file for its description says, and goes on with random code."""
    source = next(path for path in VECTORS.iterdir() if board.isa.name.startswith(path.stem)).read_text(encoding="utf-8")
    first = guests.assembled(board, "\n".join([*(f"p{i} = 0\nu{i} = 0" for i in range(8)), source]), "attacker")
    end = first.origin + len(first.bytes)
    places = [f"p{i} = {end + rng.randrange(CODE) & ~1:#x}\nu{i} = {rng.randrange(2)}" for i in range(8)]
    made = guests.assembled(board, "\n".join([*places, source]), "attacker")
    return Program(made.origin, made.bytes + random_code(board.isa, rng, CODE), made.labels, ())


def let_loose(board: Board, state: State, program: Program, rng: random.Random) -> None:
    """From its beginning, which is made anew, with other registers; the rest as it is, or as at the start."""
    state.memory[board.space].load(program.origin, program.bytes[: len(program.bytes) - CODE])
    if state.halted or board.waiting(state) or rng.random() < 0.8:
        fresh = State(board.isa)
        for name in board.isa.cells:
            if board.told is None or name != board.told[0]:
                state.cells[name] = fresh.cells[name]
        for name, value in board.start.items():
            state[name] = value
    state.halted = ""
    scrambled(state, rng)
    state.cells[board.isa.counter.name] = program.labels[guests.ENTRY]


def together(one: Session, two: Session, told: str, monitor: Monitor) -> int:
    """Run both; they have to end alike. Returns the instructions."""
    began, done = time.monotonic(), 0
    while done < BUDGET and time.monotonic() - began < PATIENCE:
        size = SLICE if not done else BUDGET // 8
        before, reflected = one.steps, monitor.counters.reflected + monitor.counters.delivered
        endings = one.run(size), two.run(size)
        assert endings[0] == endings[1], f"{told}{endings[0]} and not {endings[1]}"
        assert one.steps == two.steps, f"{told}{one.steps} instructions, and {two.steps} on the bare machine"
        done = one.steps
        reflected = monitor.counters.reflected + monitor.counters.delivered - reflected
        if endings[0] != "steps" or reflected > STUCK * (one.steps - before):
            break
    assert one.output == two.output, f"{told}other output than on the bare machine"
    assert one.state.halted == two.state.halted, told + one.state.halted
    assert dict(one.state.cells) == dict(two.state.cells), f"{told}not as on the bare machine"
    assert all(list(one.state.arrays[name]) == list(two.state.arrays[name]) for name in one.state.arrays), f"{told}other registers"
    return done


def check(house: Household, host: str, neighbour: str, same: bool, told: str) -> None:
    digests = house.digests()
    assert digests[0] == host, f"{told}the host's storage has changed"
    assert digests[2] == neighbour, f"{told}the neighbour's storage has changed"
    assert same, f"{told}other storage than on the bare machine"


def campaign(name: str, monitor: str, instructions: int, seed: int, tell: Callable[[str], None]) -> Tally:
    board, tally, began = boards(name), Tally(), time.monotonic()
    processor = guests.processor(board.isa, "jitted")
    told = began
    while tally.instructions < instructions:
        attack(board, monitor, seed, processor, tally)
        seed += 1
        if time.monotonic() - told > 10:
            told = time.monotonic()
            tell(f"{name} {monitor}: {tally.instructions:,} instructions, next seed {seed}")
    return tally


def main(arguments: list[str]) -> int:
    about = argparse.ArgumentParser(prog="python -m tests.attacks", description="Random guests under the monitors that are proved.")
    about.add_argument("--instructions", type=float, default=1e8, help="of guests, in all (default: 10^8)")
    about.add_argument("--seed", type=int, default=0, help="the first household's (default: 0)")
    about.add_argument("--only", metavar="NAME", help="one description")
    asked = about.parse_args(arguments)
    cases = [case for case in PROVED if asked.only in (None, case[0])]
    print("| description | monitor | instructions | rounds | direct | emulated | interpreted | reflected | delivered | seconds |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for name, monitor in cases:
        began = time.monotonic()
        found = campaign(name, monitor, int(asked.instructions) // len(cases), asked.seed, lambda text: print(text, file=sys.stderr))
        print(f"| {name} | {monitor} | {found.instructions:,} | {found.rounds:,} | {found.direct:,} | {found.emulated:,} "
              f"| {found.interpreted:,} | {found.reflected:,} | {found.delivered:,} | {time.monotonic() - began:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
