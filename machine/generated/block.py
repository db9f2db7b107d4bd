"""A monitor's block: what generated code knows of it, laid out beside the record of its guest. See :mod:`monitor_slots`."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from isa_specs.core import Trap
from machine.generated import monitor_slots as at
from machine.generated import slots
from machine.generated.layout import Room
from machine.generated.memory import DECODED_TABLE, MAX_CONDITION_WORDS, Cells, Record, condition_words, reserve

IMAGES = 5
EXTRA = 2048  # words for short lists
Pointers = dict[int, int]
"""Words of the record that are exchanged as guests are entered and left: offset -> value."""


class Block:
    """The block of one monitor, in ``record``. ``above`` is that of the monitor its guest is, ``virtual`` the pointers of its
    guest's machine. ``given`` and ``host`` name cells, ``apart`` is what both machines have of their own; ``spaces`` are the real
    machine's. With ``exits`` they are counted by reason."""

    def __init__(self, record: Record, *, level: int, profile: int, mode: int, kinds: int, effects: Sequence[bool], above: Block | None,
                 virtual: Pointers, given: Iterable[str], host: Iterable[str], apart: Iterable[Room], spaces: Mapping[str, Cells],
                 exits: bool = False):
        self.record, self.layout = record, record.layout
        start, words = self.layout.constants["STATE"], self.layout.constants["STATE_WORDS"]
        forms, traps = len(effects), len(record.isa.traps)
        cells = len(record.isa.cells) + len(record.isa.arrays)
        reasons = at.EXIT_REASONS if exits else 0
        pointers = 24 * (3 + 3 * len(record.spaces))
        sizes = [at.M_SIZE, *[8 * words] * IMAGES, 16 * 3 * (cells + EXTRA), pointers, forms + 8, forms + 8, 8 * MAX_CONDITION_WORDS,
                 8 * traps, 8 * traps * reasons, 8, 8 * EXTRA]
        self._room, self.address = reserve(sum(size + 63 & ~63 for size in sizes))
        self.words = memoryview(self._room).cast("q")
        self._free = 0
        self._take(at.M_SIZE)
        images = [self._take(8 * words) - start for _ in range(IMAGES)]
        self.virtual_image, self.real_image, self.disturbed_image, self.filled_image, expected = images
        self._runs = self._take(16 * 3 * (cells + EXTRA))
        self._set(at.M_VIRTUAL, self.address + images[0])
        self._set(at.M_REAL, self.address + images[1])
        self._set(at.M_DISTURBED, self.address + images[2])
        self._set(at.M_FILLED, self.address + self.filled_image)
        self._set(at.M_EXPECTED, self.address + expected)
        self._list(at.M_GIVEN, [self.layout.cells[name] for name in given])
        self._list(at.M_HOST, [self.layout.cells[name] for name in host])
        self._list(at.M_APART, list(apart))
        self._set(at.M_MODE, mode)
        self._set(at.M_KINDS, kinds)
        self._set(at.M_PROFILE, profile)
        self._pointers = self._take(pointers)
        effects_at, self.stops_at = self._take(forms + 8), self._take(forms + 8)
        self._room[effects_at : effects_at + forms] = bytes(effects)
        self._set(at.M_EFFECTS, self.address + effects_at)
        self._conditions = self._take(8 * MAX_CONDITION_WORDS)
        self._set(at.M_CONDITIONS, self.address + self._conditions)
        self._traps = self._take(8 * traps)
        self._set(at.M_TRAPS, self.address + self._traps)
        self._exits = self._take(8 * traps * reasons)
        self._set(at.M_EXITS, self.address + self._exits)
        self._stops_below = 0  # where the pointer to the stops of the machine below is
        self._set(at.M_ABOVE, above.address if above is not None else 0)
        if above is not None:
            above._set(at.M_BELOW, self.address)
            above.words[above._stops_below] = self.address + self.stops_at
        self.outcome = self.address + self._take(8)
        self._extra = self._take(8 * EXTRA)
        self.real_spaces = dict(spaces)
        seen = record.spaces | (above.real_spaces if above is not None else {})
        self.virtual_spaces = {name: seen[name] for name in spaces}
        self.real = self._point(level, virtual)

    # ---- laying out --------------------------------------------------------------------------------

    def _take(self, size: int) -> int:
        start = self._free
        self._free += size + 63 & ~63
        return start

    def _set(self, slot: int, value: int) -> None:
        self.words[slot // 8] = value

    def _list(self, slot: int, rooms: list[Room]) -> None:
        """Runs of adjacent words."""
        runs: list[list[int]] = []
        for room in sorted(rooms, key=lambda room: room.offset):
            count = room.limbs * room.length
            if runs and runs[-1][0] + 8 * runs[-1][1] == room.offset:
                runs[-1][1] += count
            else:
                runs.append([room.offset, count])
        self._set(slot, self.address + self._runs)
        self._set(slot + 8, len(runs))
        for run in runs:
            self.words[self._runs // 8], self.words[self._runs // 8 + 1] = run
            self._runs += 16

    def _point(self, level: int, virtual: Pointers) -> Pointers:
        """Have the pointers exchanged; returns those of the real machine."""
        record = self.record
        if not record[slots.OTHER_TABLE]:
            record.point_slot(slots.OTHER_TABLE, DECODED_TABLE)
            first = record[slots.OTHER_TABLE]
            for i in range(slots.DECODED_ENTRIES + 1):
                ctypes.c_int64.from_address(first + i * slots.DECODED_BYTES).value = -1
        real = dict(virtual)
        virtual |= {slots.VIEW: level, slots.DECODED: record[slots.OTHER_TABLE], slots.STOP_FORMS: self.address + self.stops_at}
        # Above the lowest monitor, the stops are those of the next one's guest: ``record.stop_forms`` until that is laid out.
        real |= {slots.VIEW: level - 1, slots.STOP_FORMS: record.stop_forms_address,
                 slots.DECODED: record[slots.OWN_TABLE if level == 1 else slots.OTHER_TABLE]}
        for cells in self.real_spaces.values():
            for slot, value in cells.pointers.items():
                virtual.setdefault(slot, record[slot])
                real[slot] = value
        changed = [slot for slot in virtual if virtual[slot] != real.get(slot)]
        self._set(at.M_POINTERS, self.address + self._pointers)
        self._set(at.M_POINTER_COUNT, len(changed))
        for i, slot in enumerate(changed):
            first = self._pointers // 8 + 3 * i
            self.words[first : first + 3] = memoryview(b"".join(
                value.to_bytes(8, "little", signed=True) for value in (slot, real[slot], virtual[slot]))).cast("q")
            if slot == slots.STOP_FORMS:
                self._stops_below = first + 1
        return real

    def _put(self, values: Iterable[int]) -> int:
        """Words of its own; their address."""
        start = self._extra
        for value in values:
            self.words[self._extra // 8] = value
            self._extra += 8
        return self.address + start

    def moves(self, names: Iterable[str]) -> None:
        """The real values of these cells are made from the guest's, each time those have changed: see :meth:`made_from`."""
        self._moved = dict.fromkeys(names, 0)
        first = self._put(word for name in self._moved for word in (self.layout.cells[name].offset, -1))
        self._moved = {name: first - self.address + 16 * i + 8 for i, name in enumerate(self._moved)}
        self._set(at.M_MOVED, first)
        self._set(at.M_MOVED_COUNT, len(self._moved))

    def made_from(self, name: str, value: int) -> None:
        self.words[self._moved[name] // 8] = value

    def assisted(self, resume: int, leave: Sequence[int], pairs: Iterable[tuple[int, int]]) -> None:
        """For hardware: where the program enters the guest, the trap that ends its turn with arguments, and what is swapped, as words of
        the record: in use, and saved."""
        self._set(at.M_RESUME, resume)
        self._set(at.M_LEAVE, self._put([leave[0], len(leave) - 1, *leave[1:]]))
        self._set(at.M_ARGUMENTS, self._put([0] * self.layout.constants["ARGUMENT_WORDS"]))
        words = [word for pair in pairs for word in pair]
        self._set(at.M_PAIRS, self._put(words))
        self._set(at.M_PAIR_COUNT, len(words) // 2)

    # ---- in use ----------------------------------------------------------------------------------------

    def give(self, name: str, value: int, image: int = -1) -> None:
        """What the real machine has in a cell, whatever the guest's is; in another ``image`` than that of the real machine."""
        room = self.layout.cells[name]
        for limb in range(room.limbs):
            word = value >> 64 * limb & (1 << 64) - 1
            self.words[((self.real_image if image < 0 else image) + room.offset) // 8 + limb] = word - (word >> 63 << 64)

    def wait_for(self, forms: Sequence[bool], conditions: Iterable[Sequence[tuple[int, int]]]) -> None:
        """Stop before these forms of the guest's, and when a condition comes to hold: words of the record, with their values."""
        wanted = bytes(forms) + b"\0"
        if self._room[self.stops_at : self.stops_at + len(wanted)] != wanted:
            self._room[self.stops_at : self.stops_at + len(wanted)] = wanted
            self.record.forget()  # entries do not know of stops
        words = condition_words(conditions)
        for i, word in enumerate(words):
            self.words[self._conditions // 8 + i] = word
        self._set(at.M_CONDITION_BYTES, 8 * len(words))

    def taken(self, slot: int) -> int:
        """A counter, which begins anew."""
        value = self.words[slot // 8]
        self.words[slot // 8] = 0
        return value

    def traps(self) -> list[int]:
        """How often each trap was counted since this was last asked."""
        return [self.taken(self._traps + 8 * i) for i in range(len(self.record.isa.traps))]

    def named_exits(self) -> dict[str, int]:
        """How often each trap has ended a turn, by its first argument, since this was last asked."""
        found: Counter[str] = Counter()
        traps = list(self.record.isa.traps.values())
        first = self._exits // 8
        for k, trap in enumerate(traps):
            row = self.words[first + k * at.EXIT_REASONS : first + (k + 1) * at.EXIT_REASONS].tolist()
            for reason in (reason for reason, times in enumerate(row) if times):
                found[_reason(trap, reason)] += self.taken(self._exits + 8 * (k * at.EXIT_REASONS + reason))
        large = self.taken(at.M_REASON)
        if large:
            found[_reason(traps[self.words[at.M_LAST // 8]], (large - 1) & (1 << 64) - 1)] += 1
        return dict(found)

    def disturbed(self, names: Iterable[str]) -> dict[str, int]:
        """How often these cells were found changed since this was last asked."""
        first = self.disturbed_image + self.layout.constants["STATE"]
        if not self._room[first : first + 8 * self.layout.constants["STATE_WORDS"]].strip(b"\0"):
            return {}
        found = {name: max(self.taken(self.disturbed_image + room.offset + 8 * limb) for limb in range(room.limbs))
                 for name in names for room in [self.layout.cells[name]]}
        return {name: times for name, times in found.items() if times}

    @property
    def ended(self) -> int:
        """Why the last turn did."""
        return self.words[(self.outcome - self.address) // 8]


def _reason(trap: Trap, argument: int) -> str:
    return f"{trap.name} {argument}" if trap.params and trap.kind == "exit" else trap.name


__all__ = ["Block", "Pointers"]
