"""The plain machine: the living definition of the core form, slow and obvious."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from isa_specs.core import Expr, FixedEncoding, Form, Isa, Space, Trap
from isa_specs.encoding import Decoded, Decoder, decoder
from machine.activation import EXECUTE, Activation, Oracle, TrapSignal
from machine.errors import MachineError
from machine.externs import EXTERNS
from machine.outcomes import Executes, Next, Outcome, Trapped
from machine.state import Place, Recorder, State

__all__ = ["Executes", "Machine", "Next", "Outcome", "Ran", "StepResult", "Trapped"]


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step. ``decoded`` is None when the fetch trapped or the bytes are no instruction; ``executed`` is
    the instruction carried out in place of ``decoded``, when that was an EXECUTE."""

    address: int
    decoded: Decoded | None
    outcome: Next | Trapped
    executed: Decoded | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """A run: how many steps, why it stopped (``steps``, ``halted`` or ``trap``), and the last step."""

    steps: int
    stopped: str
    last: StepResult | None


def zeros(width: int) -> int:
    """The default choice for undefined values."""
    return 0


class Machine:
    """Carries out a description on states, which it changes in place."""

    def __init__(
        self,
        isa: Isa,
        *,
        oracle: Oracle = zeros,
        externs: Mapping[str, Callable[..., int]] = EXTERNS,
    ):
        self.isa = isa
        self.oracle = oracle
        self.externs = externs

    @property
    def decoder(self) -> Decoder:
        return decoder(self.isa)

    def _activation(self, state: State, recorder: Recorder | None = None) -> Activation:
        return Activation(state, self.externs, self.oracle, recorder)

    # ---- instructions ------------------------------------------------------------

    def execute(
        self, form: Form, fields: Mapping[str, int], length: int, state: State, recorder: Recorder | None = None
    ) -> Outcome:
        """Run one decoded form. A trap is not delivered; the state is what its ending leaves."""
        return self._activation(state, recorder).instruction(form.body, fields, length)

    def deliver(
        self, trap: Trap, args: tuple[int, ...], state: State, ilen: int, recorder: Recorder | None = None
    ) -> None:
        """What the bare machine does on a trap. A trap on the way, or no delivery at all, halts it."""
        if trap.delivery is None:
            state.halted = f"{trap.name} has no delivery"
            return
        run = self._activation(state, recorder)
        run.fields = {"ilen": ilen}
        try:
            run.call(trap.delivery, args)
        except TrapSignal as signal:
            run.undo()
            state.halted = f"{signal.trap.name} in the delivery of {trap.name}"

    def step(self, state: State, *, bare: bool = False, recorder: Recorder | None = None) -> StepResult:
        """Fetch, decode and execute the instruction at the counter.

        A trap is left to the caller, a monitor, or delivered at once on a ``bare`` machine."""
        if state.halted:
            raise MachineError(f"the machine has halted: {state.halted}")
        result = self._step(self._activation(state, recorder))
        if bare and isinstance(result.outcome, Trapped):
            self.deliver(result.outcome.trap, result.outcome.args, state, result.outcome.ilen, recorder)
        return result

    def perform(self, decoded: Decoded, state: State, recorder: Recorder | None = None) -> StepResult:
        """Like :meth:`step`, for an instruction decoded elsewhere: nothing is fetched."""
        return self._perform(self._activation(state, recorder), decoded)

    def _step(self, run: Activation) -> StepResult:
        fetched = _Fetched(run)
        try:
            decoded = self.decoder.decode(fetched.byte, fetched.contexts)
        except TrapSignal as signal:
            return StepResult(run.address, None, run.end(signal))
        if decoded is None:
            return StepResult(run.address, None, self._illegal(run, self.length_of_illegal(bytes(fetched.data))))
        return self._perform(run, decoded)

    def _perform(self, run: Activation, decoded: Decoded) -> StepResult:
        outcome = run.instruction(decoded.form.body, decoded.fields, decoded.length)
        if not isinstance(outcome, Executes):
            return StepResult(run.address, decoded, outcome)
        # The named instruction runs at the address and with the length of the one that names it.
        executed = self.decoder.decode(outcome.byte, _Fetched(run).contexts)
        if executed is None:
            return StepResult(run.address, decoded, self._illegal(run, decoded.length))
        outcome = run.instruction(executed.form.body, executed.fields, decoded.length)
        if isinstance(outcome, Executes):
            raise MachineError(f"{executed.form.instruction} executed by {decoded.form.instruction} executes once more")
        return StepResult(run.address, decoded, outcome, executed)

    def _illegal(self, run: Activation, ilen: int) -> Trapped:
        if self.isa.illegal is None:
            raise MachineError(f"{self.isa.name} does not say what bytes that are no instruction do")
        trap, args = self.isa.illegal
        run.ilen = ilen
        run.fields = {"ilen": ilen}
        return run.end(TrapSignal(trap, tuple(run.value(arg) for arg in args), trap.kind))

    @cached_property
    def _fixed_lengths(self) -> dict[int, int]:
        """First byte -> length of the fixed-format instructions that begin with it."""
        found: dict[int, int] = {}
        for encoding in (form.encoding for form in self.isa.forms):
            if isinstance(encoding, FixedEncoding):
                word, values = 0, dict(encoding.values)
                for name, width in encoding.format.fields:
                    word = word << width | values.get(name, 0)
                length = encoding.format.length
                found.setdefault(word.to_bytes(length, "little" if self.isa.little else "big")[0], length)
        return found

    def length_of_illegal(self, data: bytes) -> int:
        """How long bytes that are no instruction count as.

        Fixed formats encode the length in the leading bits of the operation code (GA22-7000, "Instruction Formats"), so
        the instructions that begin most alike tell it; otherwise it is what had to be fetched to find out."""
        alike = min(self._fixed_lengths, key=lambda first: first ^ data[0], default=None)
        return len(data) if alike is None else self._fixed_lengths[alike]

    def run(self, state: State, max_steps: int, on_trap: Callable[[StepResult, State], bool] | None = None) -> Ran:
        """Step until the machine halts or ``max_steps`` are done.

        Traps go to ``on_trap``, which says whether to go on; without it they are delivered."""
        last = None
        for count in range(max_steps):
            if state.halted:
                return Ran(count, "halted", last)
            last = self.step(state, bare=on_trap is None)
            if on_trap is not None and isinstance(last.outcome, Trapped) and not on_trap(last, state):
                return Ran(count + 1, "trap", last)
        return Ran(max_steps, "halted" if state.halted else "steps", last)

    # ---- questions about a state ---------------------------------------------------

    def evaluate(self, expr: Expr, state: State, fields: Mapping[str, int] | None = None, recorder: Recorder | None = None) -> int:
        """The value of an expression by itself; the state stays as it is."""
        run = self._activation(state, recorder)
        run.fields = fields or {}
        try:
            return run.value(expr)
        except TrapSignal as signal:
            raise MachineError(f"the expression traps: {signal.trap.name}") from None
        finally:
            run.retract()

    def legal(self, state: State) -> list[str]:
        """The invariants this state violates."""
        return [text for text, condition in self.isa.invariants if not self.evaluate(condition, state)]

    def place(self, space: Space, address: int, state: State, access: int) -> Place | None:
        """Where an address of ``space`` is physically; None when the access traps."""
        run = self._activation(state)
        try:
            return run.places(space, [address], access)[0]
        except TrapSignal:
            return None
        finally:
            run.retract()

    def fetch_place(self, state: State, offset: int = 0) -> Place | None:
        """Where the byte ``offset`` behind the counter is fetched from; None when the fetch traps."""
        assert self.isa.fetch is not None
        recorder = Recorder()
        run = self._activation(state, recorder)
        run.fetching = True
        try:
            run.call(self.isa.fetch, ((run.address + offset) & ((1 << self.isa.counter.width) - 1),))
        except TrapSignal:
            return None
        finally:
            run.retract()
        if recorder.views:
            name, address = list(recorder.views)[-1]
            return self.place(self.isa.spaces[name], address, state, EXECUTE)
        return next((place for place in sorted(recorder.read) if place[0] in state.memory), None)


class _Fetched:
    """The bytes of one instruction, fetched as the decoder asks for them."""

    def __init__(self, run: Activation):
        self.run = run
        self.isa = run.isa
        self.data = bytearray()

    def byte(self, offset: int) -> int:
        value = self.run.fetch(offset)
        self.data.append(value)
        return value

    def contexts(self, prefixes: Mapping[str, int]) -> dict[str, int]:
        """The contexts for these prefixes, each seeing those before it."""
        known = dict(prefixes)
        self.run.fields = known
        for name, expression in self.isa.contexts.items():
            known[name] = self.run.value(expression)
        return {name: known[name] for name in self.isa.contexts}
