"""``python -m tests.innocuous``: random instructions that are proved innocuous, bare and monitored, at length: there is no difference.

A guest is a loop of such instructions that runs for a while without a trap. Both machines run it for as many instructions and have to
end alike, to the last byte; then comes another loop, from other registers.
"""

from __future__ import annotations

import argparse
import bisect
import contextlib
import itertools
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from isa_specs.core import Form, Isa
from isa_specs.encoding import EncodeError, decoder
from isa_specs.load import load
from isa_specs.program import Program
from machine import guests
from machine.board import Board
from machine.guests import Machinery
from machine.jitted_processor import JittedProcessor
from machine.outcomes import Trapped
from machine.session import Session
from machine.state import State
from tests.test_monitors import PROVED, scrambled

REPORTS = Path(__file__).parent.parent / "reports"
AGAIN = {"third_generation": "BE 0,0,again", "s370": "BC 15,again(0,0)", "x86": "jmp again"}
LENGTH = 40  # instructions of a loop
TURN = 10_000_000  # instructions a loop runs for
START = 0x400  # where it is, behind the origin
TRIAL = 2_000  # instructions it has to run for without a trap, to begin with
SLICE = 500_000
CLOSING = 8  # bytes of what closes a loop, at most


def innocuous(isa: Isa) -> list[Form]:
    """The forms of the instructions the bundled report calls neither sensitive nor privileged."""
    folder = REPORTS if (REPORTS / f"{isa.name}.json").is_file() else REPORTS / "teaching"
    report = json.loads((folder / f"{isa.name}.json").read_text(encoding="utf-8"))
    names = {item["name"] for item in report["instructions"]
             if not item["sensitive"] and item["privileged"] == "refuted" and not item["observes"]}
    return [form for form in isa.forms if form.instruction in names]


def guest(board: Board, forms: list[Form], below: JittedProcessor, size: int, rng: random.Random) -> Machinery:
    """A loop on the bare machine, in a state from which it has once run for a while without a trap."""
    known = decoder(board.isa)
    made = guests.bare(board, Program(board.origin, bytes(START), {}, ()), size, processor=below)
    state = made.session.state
    scrambled(state, rng)
    before = Snapshot.of(made)
    code: list[bytes] = []
    while len(code) < LENGTH:
        form = rng.choice(forms)
        with contextlib.suppress(EncodeError):
            code.append(known.encode(form, known.random_fields(form, rng)))
    while code:
        before.restore(made, board, code)
        ran = below.machine.run(state, TRIAL, lambda step, state: False)
        if ran.stopped == "steps" and _inside(board, code, state):
            break
        before.restore(made, board, code)
        del code[_culprit(below, board, code, state)]
    before.restore(made, board, code)
    return made


def _inside(board: Board, code: list[bytes], state: State) -> bool:
    """Whether the machine is in the loop, and that is what it was."""
    first, held = board.origin + START, b"".join(code)
    at = state.cells[board.isa.counter.name] - first
    return 0 <= at < len(held) + CLOSING and bytes(state.memory[board.space][first + i] for i in range(len(held))) == held


def _culprit(below: JittedProcessor, board: Board, code: list[bytes], state: State) -> int:
    """Which instruction traps, leads out of the loop or changes it."""
    starts = list(itertools.accumulate(map(len, code), initial=board.origin + START))
    found = 0
    for _ in range(TRIAL):
        at = state.cells[board.isa.counter.name]
        found = min(bisect.bisect_right(starts, at) - 1, len(code) - 1)
        if isinstance(below.machine.step(state).outcome, Trapped) or not _inside(board, code, state):
            break
    return found


@dataclass
class Snapshot:
    """A guest's state."""

    cells: dict[str, int]
    arrays: dict[str, list[int]]
    storage: bytes

    @classmethod
    def of(cls, made: Machinery) -> Snapshot:
        state = made.session.state
        return cls(dict(state.cells), {name: list(values) for name, values in state.arrays.items()}, bytes(made.storage.cells))

    def restore(self, made: Machinery, board: Board, code: list[bytes]) -> None:
        """With this loop in it, about to be entered."""
        state, first = made.session.state, board.origin + START
        state.halted = ""
        state.cells.update(self.cells)
        state.arrays.update(self.arrays)
        closing = next(text for name, text in AGAIN.items() if board.isa.name.startswith(name))
        listed = f".byte {','.join(map(str, b''.join(code)))}" if code else ""
        program = guests.assembled(board, f".org {first}\nstart:\nagain: {listed}\n{closing}\n", "loop")
        memory = state.memory[board.space]
        memory.load(0, self.storage)
        memory.load(first, program.bytes[first - program.origin :])
        state.cells[board.isa.counter.name] = first


def compared(board: Board, monitor: str, forms: list[Form], below: JittedProcessor, seed: int) -> tuple[int, int]:
    """One guest on both machines. Returns the instructions of each, and how many of them ran directly. Raises AssertionError."""
    two = guests.monitored(board, Program(board.origin, bytes(START), {}, ()), monitor, processor=below)
    one = guest(board, forms, below, two.guest_size, random.Random(seed))
    state = two.session.state
    for name in board.isa.cells:
        state.cells[name] = one.session.state.cells[name]
    state.arrays.update(one.session.state.arrays)
    state.memory[board.space].load(0, bytes(one.storage.cells))
    sessions = [Session(made.session.processor, made.session.state, board) for made in (one, two)]
    counters, straight = two.monitors[0].counters, -1
    endings: list[str] = ["steps", "steps"]
    while sessions[0].steps < TURN and endings[0] == "steps" and counters.direct + counters.interpreted > straight:
        straight = counters.direct + counters.interpreted + SLICE // 2  # with less it does little but trap
        endings = [session.run(SLICE) for session in sessions]
        counters = two.monitors[0].counters
    told = f"{board.isa.name} under {monitor}, seed {seed}: "
    assert endings[0] == endings[1], f"{told}{endings[0]} bare, {endings[1]} monitored"
    assert dict(one.session.state.cells) == dict(state.cells), f"{told}other cells"
    assert all(list(values) == list(state.arrays[name]) for name, values in one.session.state.arrays.items()), f"{told}other registers"
    assert bytes(one.storage.cells) == bytes(two.storage.cells[two.kept :]), f"{told}other storage"
    assert one.session.state.halted == state.halted, told + state.halted
    return counters.instructions, counters.direct


def campaign(name: str, monitor: str, instructions: int, seed: int, tell: Callable[[str], None]) -> tuple[int, int, int]:
    """Instructions, how many of them ran directly, and guests."""
    isa = load(name)
    board = replace(guests.board_for(isa, guests.bundled(isa)["os"]), clocks=())
    below = guests.processor(isa, "jitted")
    if not isinstance(below, JittedProcessor):
        raise SystemExit("this takes generated code")
    forms, done, direct, count, told = innocuous(isa), 0, 0, 0, time.monotonic()
    while done < instructions:
        more, straight = compared(board, monitor, forms, below, seed + count)
        done, direct, count = done + more, direct + straight, count + 1
        if time.monotonic() - told > 10:
            told = time.monotonic()
            tell(f"{name} {monitor}: {done:,} instructions, next seed {seed + count}")
    return done, direct, count


def main(arguments: list[str]) -> int:
    about = argparse.ArgumentParser(prog="python -m tests.innocuous", description="Random innocuous code, bare against monitored.")
    about.add_argument("--instructions", type=float, default=1e9, help="of guests, in all (default: 10^9)")
    about.add_argument("--seed", type=int, default=0, help="the first guest's (default: 0)")
    about.add_argument("--only", metavar="NAME", help="one description")
    asked = about.parse_args(arguments)
    cases = [case for case in PROVED if asked.only in (None, case[0])]
    print("| description | monitor | instructions | of them direct | guests | seconds |")
    print("|---|---|--:|--:|--:|--:|")
    for name, monitor in cases:
        began = time.monotonic()
        done, direct, count = campaign(name, monitor, int(asked.instructions) // len(cases), asked.seed,
                                       lambda text: print(text, file=sys.stderr, flush=True))
        print(f"| {name} | {monitor} | {done:,} | {direct:,} | {count:,} | {time.monotonic() - began:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
