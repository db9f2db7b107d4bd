"""Guests: programs in assembly with the board they were written for, and the machines that run them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import isa_specs
from isa_specs.core import Isa
from isa_specs.encoding import state_contexts
from isa_specs.program import Program, assemble_program
from machine.board import Board, BoardError, load_board
from machine.errors import MachineError
from machine.monitors.monitor import Monitor
from machine.monitors.native import monitor_on
from machine.monitors.native_hardware import hardware_on
from machine.monitors.processor import PlainProcessor, Processor
from machine.monitors.windows import Storage
from machine.session import Session, start_state
from machine.state import State

FOLDER = Path(isa_specs.__file__).parent / "guests"
HYBRID = "hybrid"
ENTRY = "start"
ENTRY_LABEL = re.compile(rf"^{ENTRY}:", re.MULTILINE)
_WITH = re.compile(r"; with ([\w-]+\.s)")


class NoSuchMonitor(MachineError):
    """The description has no monitor of this name."""


class TooLarge(MachineError):
    """The guest does not fit into the storage that is left for it."""


def folders(isa: Isa) -> list[Path]:
    """Where guests of a description are: its own folder, then those of what it extends."""
    stems = [Path(source).stem for source in isa.sources]
    return [FOLDER / stem for stem in reversed(stems) if (FOLDER / stem / "board.toml").is_file()]


def bundled(isa: Isa) -> dict[str, Path]:
    """The guests that come with the package: name -> file."""
    found = {}
    for folder in reversed(folders(isa)):
        for path in sorted(folder.rglob("*.s")):
            if ENTRY_LABEL.search(path.read_text(encoding="utf-8")):  # else it is a part of others
                found[path.relative_to(folder).with_suffix("").as_posix()] = path
    return found


def board_for(isa: Isa, guest: Path) -> Board:
    """The board beside the guest, or the one that comes with the description. Raises :class:`BoardError`."""
    beside = [folder / "board.toml" for folder in (guest.parent, guest.parent.parent)]
    found = [*(board for board in beside if board.is_file()), *(folder / "board.toml" for folder in folders(isa))]
    if not found:
        raise BoardError(f"nothing says how much storage a machine of {isa.name} has and what is attached to it",
                         "put a board.toml beside the guest; docs/monitors.md shows what it says")
    return load_board(isa, found[0])


def source_of(path: Path) -> str:
    """The text of a guest, behind it that of the files its first lines name: ``; with system.s``."""
    text = path.read_text(encoding="utf-8-sig")
    parts = [text]
    for line in text.splitlines():
        found = _WITH.fullmatch(line.strip())
        if found is None:
            break
        parts.append((path.parent / found[1]).read_text(encoding="utf-8-sig"))
    return "\n".join(parts)


def assembled(board: Board, source: str, file: str) -> Program:
    """The guest's bytes. Raises :class:`isa_specs.assembler.AssemblyError`."""
    start = start_state(board, Storage.of_size(board.size))
    return assemble_program(board.isa, source, board.origin, state_contexts(board.isa, start.cells), file)


@dataclass(frozen=True, slots=True)
class Machinery:
    """A guest about to run: its session, the monitors from the lowest to its own, and all of the real machine's storage."""

    session: Session
    monitors: tuple[Monitor, ...]
    storage: Storage
    kept: int

    @property
    def guest_size(self) -> int:
        """Bytes of storage the guest has."""
        return len(self.storage) - self.kept

    def host_digest(self) -> str:
        """SHA-256 of the storage the monitors keep for themselves."""
        return Storage(self.storage.cells[: self.kept]).digest() if self.kept else ""


def bare(board: Board, program: Program, size: int = 0, typed: bytes = b"", processor: Processor | None = None) -> Machinery:
    """The guest alone on the machine, with ``size`` bytes of storage (default: all there is)."""
    storage = Storage.of_size(size or board.size)
    below = processor or PlainProcessor(board.isa)
    board.require(below.isa)
    return Machinery(Session(below, below.prepared(loaded(board, program, storage)), board, typed), (), storage, 0)


def monitored(board: Board, program: Program, monitor: str, depth: int = 1, typed: bytes = b"", processor: Processor | None = None
              ) -> Machinery:
    """The guest under ``depth`` monitors on each other; each keeps a part of the storage it is given.

    ``monitor`` is a profile of the description, or ``hybrid``: its first profile, with supervisor mode interpreted. Raises
    :class:`NoSuchMonitor`, :class:`TooLarge`, :class:`machine.board.BoardError`."""
    below: Processor = processor or PlainProcessor(board.isa)
    board.require(below.isa)
    make = maker(board, monitor, depth)
    kept = depth * board.own
    if kept >= board.size:
        raise TooLarge(f"{depth} monitors keep {kept:#x} bytes for themselves, and there are {board.size:#x}")
    storage = Storage.of_size(board.size)
    guest = storage.window(kept, board.size - kept)
    state = loaded(board, program, guest)
    monitors: list[Monitor] = []
    for level in range(depth):
        own = storage.window(level * board.own, board.own)
        monitors.append(make(below, own))
        below = monitors[-1]
    return Machinery(Session(below, below.prepared(state), board, typed), tuple(monitors), storage, kept)


def processor(isa: Isa, kind: str) -> Processor:
    """A ``plain`` or ``jitted`` processor; the plain one where no code can be generated, or with VCHECK_JIT=0."""
    if kind == "jitted":
        from machine.jitted import JittedMachine, NotGenerated, enabled
        from machine.jitted_processor import JittedProcessor

        try:
            if enabled():
                return JittedProcessor(isa, JittedMachine(isa, soon=True))
        except NotGenerated:
            pass
    return PlainProcessor(isa)


Make = Callable[[Processor, Storage], Monitor]
"""Makes a monitor on a processor, with the storage it keeps for itself."""


def maker(board: Board, name: str, depth: int = 1) -> Make:
    """What makes the named monitor. Raises :class:`NoSuchMonitor`."""
    profiles = board.isa.monitors
    if name == HYBRID and profiles and name not in profiles:
        return lambda below, own: monitor_on(below, next(iter(profiles.values())), hybrid=True, host=board.host)
    if name not in profiles:
        raise NoSuchMonitor(f"{board.isa.name} has no monitor '{name}'")
    profile = profiles[name]
    if all(keep.saved_in is None for keep in profile.keeps.values()):
        return lambda below, own: monitor_on(below, profile, host=board.host)
    if name not in board.assisted:
        raise NoSuchMonitor(f"the board does not say how '{name}' enters its guests")
    if depth > 1:
        raise NoSuchMonitor(f"the hardware that '{name}' uses runs guests, but not monitors that use it too")
    return lambda below, own: hardware_on(below, profile, board.assisted[name], own, host=board.host)


def monitor_names(isa: Isa) -> list[str]:
    return [*isa.monitors, *([HYBRID] if isa.monitors else [])]


def loaded(board: Board, program: Program, storage: Storage) -> State:
    """The starting state with the program in storage. Raises :class:`TooLarge`."""
    end = program.origin + len(program.bytes)
    if end > len(storage):
        raise TooLarge(f"the guest takes {end:#x} bytes, and there are {len(storage):#x}")
    state = start_state(board, storage)
    storage.load(program.origin, program.bytes)
    state[board.isa.counter.name] = program.labels.get(ENTRY, program.origin)
    return state


__all__ = [
    "HYBRID", "Machinery", "NoSuchMonitor", "TooLarge", "assembled", "bare", "board_for", "bundled", "loaded", "maker", "monitor_names",
    "monitored",
]
