"""Which description is held against which emulator."""

from __future__ import annotations

from collections.abc import Callable

from isa_specs.core import Isa
from tests.references import s370
from tests.references.campaign import Target

TARGETS: dict[str, list[tuple[str, str, Callable[[Isa], Target]]]] = {
    "s370": [("Hercules in S/370 mode", "hercules", s370.Target)],
    "s370_das": [("Hercules in S/370 mode", "hercules", s370.Target)],
}
