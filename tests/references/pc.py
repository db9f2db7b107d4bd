"""QEMU and Bochs as emulators of the machine in x86_image.py."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.references.emulators import EmulatorError, run
from tests.references.x86_image import MEMORY, Case, Final, image, results, rom, stuck

QEMU, BOCHS = "qemu-system-i386", "bochs-bin"
SECONDS = 10.0  # for a table of cases, which takes one or two
MOST = 6000  # cases in a table

# The display needs no screen: it waits for a viewer that may come over the network, here not at all.
BOCHS_CONFIGURATION = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
cpu: model=p3_katmai, ips=100000000, reset_on_triple_fault=0
memory: guest=16, host=16
romimage: file="rom.bin"
vgaromimage: file="none.bin"
boot: disk
log: "bochs.log"
panic: action=report
magic_break: enabled=1
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
speaker: enabled=0
plugin_ctrl: unmapped=1, biosdev=0, speaker=0, extfpuirq=0, parallel=0, serial=0, iodebug=0, gameport=0
"""


def qemu(storage: bytes, seconds: float) -> bytes:
    """Storage after the program has stopped. It is a file that both the emulator and this program have mapped."""
    with tempfile.TemporaryDirectory(prefix="qemu") as name:
        folder = Path(name)
        (folder / "rom.bin").write_bytes(rom(storage))
        (folder / "memory.bin").write_bytes(bytes(len(storage)))
        command = [QEMU, "-display", "none", "-nodefaults", "-no-reboot", "-accel", "tcg", "-cpu", "pentium3", "-bios", "rom.bin",
                   "-m", f"{len(storage) >> 20}M", "-machine", "pc,memory-backend=ram", "-object",
                   f"memory-backend-file,id=ram,size={len(storage)},mem-path=memory.bin,share=on",
                   "-device", "isa-debug-exit,iobase=0xf4,iosize=1"]
        printed = run(command, folder, seconds)
        after = (folder / "memory.bin").read_bytes()
        if not any(after):
            raise EmulatorError(f"QEMU did nothing: {printed[-1000:]}")
        return after


def bochs(storage: bytes, seconds: float) -> bytes:
    """Storage after the program has stopped, as Bochs' debugger writes it; it comes back when interrupted, too."""
    with tempfile.TemporaryDirectory(prefix="bochs") as name:
        folder = Path(name)
        (folder / "rom.bin").write_bytes(rom(storage))
        (folder / "none.bin").write_bytes(bytes(512))
        (folder / "bochsrc").write_text(BOCHS_CONFIGURATION)
        (folder / "commands").write_text(f'c\nwritemem "memory.bin" 0 {MEMORY}\nq\n')
        printed = run([BOCHS, "-q", "-f", "bochsrc", "-rc", "commands"], folder, seconds)
        saved = folder / "memory.bin"
        if not saved.exists():
            log = folder / "bochs.log"
            raise EmulatorError(f"Bochs saved nothing: {printed[-1500:]} {log.read_text()[-1500:] if log.exists() else ''}")
        return saved.read_bytes()


def run_cases(emulator: Callable[[bytes, float], bytes], cases: Iterable[Case]) -> Iterator[Final | None]:
    """What became of each case; None where no handler was reached."""
    waiting, most = list(cases), MOST
    while waiting:
        after = emulator(image(waiting[:most]), SECONDS)
        found = list(results(after))
        yield from found
        waiting = waiting[len(found) :]
        if found or not stuck(after):
            most = MOST
        elif most > 1:  # the host may have been too busy: the first one by itself
            most = 1
        else:
            yield None
            waiting = waiting[1:]
            most = MOST
