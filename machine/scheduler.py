"""Several guests on one machine, each in a window of its own, under a monitor of its own; they take turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isa_specs.program import Program
from machine.board import Board
from machine.guests import TooLarge, loaded, maker
from machine.monitors.monitor import Monitor
from machine.monitors.processor import PlainProcessor, Processor
from machine.monitors.windows import Storage
from machine.session import Ending, Session

BLOCK = 0x1000  # windows begin and end at multiples of this


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest with its window and its monitor."""

    session: Session
    window: Storage
    monitor: Monitor


@dataclass(frozen=True, slots=True)
class Household:
    """The guests of one machine. The host keeps ``kept`` bytes at the beginning of ``storage``; the windows lie behind, apart."""

    guests: tuple[Guest, ...]
    storage: Storage
    kept: int

    def run(self, max_steps: int, turn: int = 1000) -> list[Ending]:
        """Let the guests run in turns of ``turn`` instructions until all have ended, each for at most ``max_steps``."""
        endings: list[Ending] = ["steps"] * len(self.guests)
        running = True
        while running:
            running = False
            for i, guest in enumerate(self.guests):
                left = max_steps - guest.session.steps
                if endings[i] == "steps" and left > 0:
                    endings[i] = guest.session.run(min(turn, left))
                    running = True
        return endings

    def digests(self) -> list[str]:
        """SHA-256 of the host's part and of each window."""
        return [Storage(self.storage.cells[: self.kept]).digest(), *(guest.window.digest() for guest in self.guests)]


def household(board: Board, programs: Sequence[Program], monitor: str, processor: Processor | None = None,
              host_contents: bytes = b"") -> Household:
    """The programs, each under the named monitor, in equal windows. ``host_contents`` fills the host's part over and over.

    Raises :class:`machine.guests.NoSuchMonitor`, :class:`machine.guests.TooLarge`, :class:`machine.board.BoardError`."""
    below = processor or PlainProcessor(board.isa)
    board.require(below.isa)
    make = maker(board, monitor)
    kept = board.own * max(1, len(programs))
    size = (board.size - kept) // max(1, len(programs)) // BLOCK * BLOCK
    if size <= 0:
        raise TooLarge(f"{len(programs)} guests do not fit into {board.size:#x} bytes of storage")
    storage = Storage.of_size(board.size)
    if host_contents:
        storage.load(0, (host_contents * (kept // len(host_contents) + 1))[:kept])
    guests = []
    for i, program in enumerate(programs):
        window = storage.window(kept + i * size, size)
        own = storage.window(i * board.own, board.own)
        made = make(below, own)
        guests.append(Guest(Session(made, made.prepared(loaded(board, program, window)), board), window, made))
    return Household(tuple(guests), storage, kept)


__all__ = ["Guest", "Household", "household"]
