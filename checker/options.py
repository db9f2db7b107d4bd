"""What the user of a check can choose."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str, int, int], None]


def _silent(part: str, done: int, total: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Options:
    """``monitors`` and ``instructions`` restrict the check to these (empty: all). ``timeout`` is in seconds for each obligation, ``jobs``
    the number of solver processes. ``cache`` is a folder or None. With ``export``, obligations are written there.
    Counterexamples are run on generated code, too: with ``confirm`` True or not at all, False never, None where there is any.
    With ``timings``, the report says where the time went. ``progress`` is told the part under way and how much of it is done.
    """

    monitors: tuple[str, ...] = ()
    instructions: tuple[str, ...] = ()
    timeout: float = 10.0
    jobs: int = 0
    cache: Path | None = None
    export: Path | None = None
    timings: bool = False
    confirm: bool | None = None
    progress: Progress = _silent

    @property
    def processes(self) -> int:
        """``jobs``, or as many as there are processors this process may use."""
        if self.jobs > 0:
            return self.jobs
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
