"""Which description is held against which emulator."""

from __future__ import annotations

from collections.abc import Callable

from isa_specs.core import Isa
from tests.references import pc, s370, x86
from tests.references.campaign import Target


def qemu(isa: Isa) -> Target:
    return x86.Target(isa, "qemu", pc.qemu)


def bochs(isa: Isa) -> Target:
    return x86.Target(isa, "bochs", pc.bochs)


HERCULES = ("Hercules in S/370 mode", "hercules", s370.Target)
TARGETS: dict[str, list[tuple[str, str, Callable[[Isa], Target]]]] = {
    "s370": [HERCULES],
    "s370_das": [HERCULES],
    "x86": [("QEMU, rings 0 and 3", pc.QEMU, qemu), ("Bochs, rings 0 and 3", pc.BOCHS, bochs)],
}
