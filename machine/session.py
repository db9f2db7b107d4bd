"""A guest on a processor with a board around it: time, interrupts, console.

The processor is a bare machine or a monitor; the session does not know. Time is counted in instructions of the guest, so a run is
the same each time, and the same under any monitor that keeps its promise.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

from machine.board import Board, Request
from machine.errors import MachineError
from machine.monitors.processor import Processor, Stop
from machine.monitors.windows import Storage
from machine.plain import Machine
from machine.state import Place, State

Ending = Literal["waiting", "halted", "steps"]


def start_state(board: Board, storage: Storage) -> State:
    """The state the machine starts in, ``storage`` installed. Raises MachineError when it is not legal."""
    state = State(board.isa)
    state.memory[board.space] = storage
    if board.told is not None:
        name, unit, last = board.told
        state[name] = len(storage) // unit - last
    for name, value in board.start.items():
        state[name] = value
    wrong = Machine(board.isa).legal(state)
    if wrong:
        raise MachineError(f"the state the board starts in violates: {wrong[0]}")
    return state


class Session:
    """``state`` is the guest's own; ``output`` what its console has taken; ``time`` and ``steps`` count instructions, time goes on
    while the guest waits; ``wakes`` counts the interrupts that ended a wait. Raises :class:`machine.board.BoardError`."""

    def __init__(self, processor: Processor, state: State, board: Board, typed: bytes = b""):
        board.require(processor.isa)
        self.processor, self.state, self.board = processor, state, board
        self.output = bytearray()
        self.time = self.steps = 0
        self.pending: deque[tuple[Request, Place | None, int]] = deque()
        self.interrupts = self.wakes = 0
        self.last: Stop | None = None
        self._typed = deque(typed)
        self._due = {i: clock.every for i, clock in enumerate(board.clocks)}
        self._next_byte = board.console.every if board.console is not None and typed else None
        if typed and (board.console is None or board.console.input is None):
            raise MachineError(f"the console of {board.isa.name}'s board has no keyboard")

    def run(self, max_steps: int) -> Ending:
        """Go on for at most ``max_steps`` instructions; ``waiting``: nothing can wake the processor any more.

        An interrupt out of a wait counts like an instruction: the handler may be another wait."""
        end = self.steps + self.wakes + max_steps
        while True:
            self._arrive()
            if self.state.halted:
                return "halted"
            waiting = self.board.waiting(self.state)
            if self.steps + self.wakes >= end and not (waiting and self._wake() is None and not self._ready()):
                return "steps"
            if self._interrupt():
                self.wakes += waiting
                continue
            if waiting:
                wake = self._wake()
                if wake is None:
                    return "waiting"
                self.time = wake
                continue
            budget = min([end - self.steps - self.wakes, *(time - self.time for time in self._times())])
            watch = self.board.watched(request for request, _, _ in self.pending)
            stop = self.processor.run(self.state, budget, bare=True, watch=watch)
            self.last = stop
            self.steps += stop.steps
            self.time += stop.steps
            self._listen(stop)

    # ---- devices ---------------------------------------------------------------------------------

    def _times(self) -> list[int]:
        return [*self._due.values(), *([self._next_byte] if self._next_byte is not None else [])]

    def _arrive(self) -> None:
        """Note what has happened outside by now."""
        for i, clock in enumerate(self.board.clocks):
            while self._due[i] <= self.time:
                self._due[i] += clock.every
                if all(pending is not clock.request for pending, _, _ in self.pending):  # a request stands until it is met
                    self.pending.append((clock.request, None, 0))
        console = self.board.console
        while console is not None and self._next_byte is not None and self._next_byte <= self.time:
            byte = self._typed.popleft()
            self._next_byte = self._next_byte + console.every if self._typed else None
            if console.request is None:
                assert console.input is not None
                self.state.put(console.input, byte)
            else:
                self.pending.append((console.request, console.input, byte))

    def _ready(self) -> bool:
        return any(self.board.enabled(request, self.state) for request, _, _ in self.pending)

    def _interrupt(self) -> bool:
        """Deliver the first pending interrupt that is enabled."""
        for i, (request, place, value) in enumerate(self.pending):
            if self.board.enabled(request, self.state):
                del self.pending[i]
                if place is not None:
                    self.state.put(place, value)
                self.processor.deliver(request.interrupt.trap, request.arguments, self.state, 0)
                self.interrupts += 1
                return True
        return False

    def _wake(self) -> int | None:
        """When the next interrupt comes that is enabled now."""
        times = [self._due[i] for i, clock in enumerate(self.board.clocks) if self.board.enabled(clock.request, self.state)]
        typed = self.board.console.request if self.board.console is not None else None
        if self._next_byte is not None and typed is not None and self.board.enabled(typed, self.state):
            times.append(self._next_byte)
        return min(times, default=None)

    def _listen(self, stop: Stop) -> None:
        console = self.board.console
        if console is not None and console.output is not None and console.output in stop.written:
            self.output.append(self.state.get(console.output) & 0xFF)


__all__ = ["Ending", "Session", "start_state"]
