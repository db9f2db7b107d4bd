"""Runs cases on Hercules in S/370 mode: a program in storage takes them from a table, many in one process (hercules.s).

Hercules answers commands only from a terminal. A rule of its automatic operator, set off by the disabled wait in which the
program ends, has it save the results and leave."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from isa_specs.load import load
from isa_specs.program import Program, assemble_program
from tests.references.emulators import EmulatorError, run

PROGRAM = "hercules"
DRIVER = 0x402000  # above what twice 2 MiB and a displacement come to
REGISTERS, BASE, FLOATS, NEW_PSWS = 0xE00, 0xE48, 0xE50, 0x58  # in the block of the prefix
INTERRUPTIONS = ("external", "svc", "program", "check", "io")
BLOCKS = (*range(0, 0x4000, 0x800), *range(0x7FE000, 0x800000, 0x800))  # those whose storage keys a case sets
WINDOWS = (range(0x4000), range(0x7FE000, 0x800000))  # all the storage a case may change
STORAGE = 0x800000
SECONDS = 8  # for a table of cases, which takes one
MOST = 10_000  # cases in a table

CONFIGURATION = """\
CPUSERIAL 000001
CPUMODEL 0145
MAINSIZE 8
NUMCPU 1
ARCHMODE S/370
OSTAILOR QUIET
SHCMDOPT DISABLE
0EFE 3505
"""
START = """\
hao tgt HHCCP011I
hao cmd script end.rc
"""
END = """\
stopall
pause {pause}
savecore results.core {driver:x} {end:x}
quit
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A state and what lies in storage; the rest of the 8 MiB is zero. ``keys`` are bytes, for the blocks in BLOCKS."""

    name: str
    code: bytes
    psw: int
    gpr: tuple[int, ...]
    fpr: tuple[int, ...]
    cr: tuple[int, ...]
    prefix: int
    comparator: int
    keys: tuple[int, ...]
    patches: tuple[tuple[int, bytes], ...]

    def loaded(self) -> Iterator[tuple[int, bytes]]:
        """All that is put into storage, later bytes over earlier ones; addresses are absolute."""
        yield from self.patches
        at = self.prefix
        for block in dict.fromkeys((0, at)):
            yield block + NEW_PSWS, new_psws()
            yield block + REGISTERS, struct.pack(">16IQI4x4Q", *self.gpr, self.psw, DRIVER, *self.fpr)


@dataclass(frozen=True, slots=True)
class Final:
    """The state when the first interruption has been taken. ``changed``: bytes that differ from what was loaded, by address;
    ``unfetched``: it is an instruction's that could not be fetched, if known; ``ran``: the instructions, if known."""

    interruption: str
    gpr: tuple[int, ...]
    fpr: tuple[int, ...]
    cr: tuple[int, ...]
    prefix: int
    comparator: int
    keys: tuple[int, ...]
    changed: dict[int, int]
    unfetched: bool = False
    ran: tuple[str, ...] = ()


@cache
def driver() -> Program:
    """The program that runs a table of cases."""
    source = Path(__file__).with_suffix(".s")
    return assemble_program(load("s370"), source.read_text(encoding="ascii"), DRIVER, file=source.name)


@cache
def new_psws() -> bytes:
    """What interruptions load: a handler's address, and no more."""
    return b"".join(struct.pack(">Q", driver().labels[name]) for name in INTERRUPTIONS)


def word(label: str) -> int:
    """A word of the program, as an offset from its beginning if it is an address."""
    at = driver().labels[label] - DRIVER
    return int.from_bytes(driver().bytes[at : at + 4], "big") - DRIVER


def table(cases: Sequence[Case]) -> bytes:
    """The storage from DRIVER on: the program, and as many cases as there is room for."""
    image, count = bytearray(driver().bytes), 0
    image += bytes(word("table") - len(image))
    for case in cases:
        patches = list(case.loaded())
        row = struct.pack(">16IIIQ12s4x", *case.cr, case.prefix, len(patches), case.comparator, bytes(case.keys))
        row += b"".join(struct.pack(">II", address, len(data)) + data + bytes(-len(data) % 8) for address, data in patches)
        if len(image) + len(row) > word("results"):
            break
        image += row
        count += 1
    struct.pack_into(">I", image, driver().labels["count"] - DRIVER, count)
    return bytes(image)


def results(core: bytes) -> Iterator[Final]:
    """What the program wrote down, from an image of the storage from DRIVER on."""
    labels = driver().labels
    done, = struct.unpack_from(">I", core, labels["done"] - DRIVER)
    at = word("results")
    for _ in range(done):
        kind, prefix, *words, comparator, keys, count = struct.unpack_from(">II32IQ12sI", core, at)
        fpr = struct.unpack_from(">4Q", core, at + 160)
        pairs = struct.unpack_from(f">{2 * count}I", core, at + 192)
        yield Final(INTERRUPTIONS[kind], tuple(words[:16]), fpr, tuple(words[16:]), prefix, comparator, tuple(keys),
                    dict(zip(pairs[::2], pairs[1::2], strict=True)))
        at += 192 + 8 * count


def saved(files: Mapping[str, bytes], start: str, first: int, last: int) -> bytes:
    """Run Hercules with the commands ``start`` until its CPU waits; storage from ``first`` to ``last`` then."""
    for pause in (1, 5):  # seconds for the CPU to stop, which a busy host may take
        with tempfile.TemporaryDirectory(prefix="hercules") as name:
            folder = Path(name)
            for file, content in files.items():
                (folder / file).write_bytes(content)
            (folder / "machine.cnf").write_text(CONFIGURATION)
            (folder / "start.rc").write_text(START + start)
            (folder / "end.rc").write_text(END.format(pause=pause, driver=first, end=last))
            printed = run([PROGRAM, "-d", "-f", "machine.cnf"], folder, 8 * SECONDS, {"HERCULES_RC": "start.rc"})
            if (folder / "results.core").exists():
                return (folder / "results.core").read_bytes()
    raise EmulatorError(f"Hercules saved no results:\n{printed[-2000:]}")


def _started(cases: Sequence[Case]) -> tuple[list[Final], bool]:
    """The results of the first cases, as many as there was room for, and whether the next one came to no end."""
    commands = f"loadcore table.core {DRIVER:x}\nr 0={DRIVER:016x}\nrestart\npause {SECONDS}\nscript end.rc\n"
    core = saved({"table.core": table(cases)}, commands, DRIVER, STORAGE - 1)
    count, done, end = struct.unpack_from(">III", core, driver().labels["count"] - DRIVER)
    return list(results(core)), done < count and end - DRIVER < word("limit")


def run_cases(cases: Iterable[Case]) -> Iterator[Final | None]:
    """What became of each case; None where Hercules came to no interruption."""
    waiting = list(cases)
    while waiting:
        found, stuck = _started(waiting[:MOST])
        yield from found
        waiting = waiting[len(found) :]
        if stuck and not found:  # else the host may have been too busy, and it is given all the time once more
            yield None
            waiting = waiting[1:]
