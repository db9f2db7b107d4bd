"""The programs compared with: where they are, and running them with an end."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

PACKAGES = {"hercules": "hercules", "qemu-system-i386": "qemu-system-x86", "bochs-bin": "bochs"}


class EmulatorError(Exception):
    """An emulator did not do its part."""


def missing(program: str) -> str:
    """Why ``program`` cannot be run; empty if it can."""
    return "" if shutil.which(program) else f"{program} is not installed: apt-get install {PACKAGES[program]}"


def run(command: list[str], folder: Path, seconds: float, environment: Mapping[str, str] | None = None) -> str:
    """Run a command in ``folder`` for at most so many seconds; what it printed. Raises TimeoutExpired.

    How it ends is no sign of anything: some can only be ended by what they call an error."""
    done = subprocess.run(command, cwd=folder, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, check=False)
    return done.stdout.decode("utf-8", "replace")
