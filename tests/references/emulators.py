"""The programs compared with: where they are, and running them with an end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

PACKAGES = {"hercules": "hercules", "qemu-system-i386": "qemu-system-x86", "bochs-bin": "bochs"}
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()  # or go on for ever
PATIENCE = 5.0  # seconds for an interrupted program to write down what it has


class EmulatorError(Exception):
    """An emulator did not do its part."""


def missing(program: str) -> str:
    """Why ``program`` cannot be run; empty if it can."""
    return "" if shutil.which(program) else f"{program} is not installed: apt-get install {PACKAGES[program]}"


def run(command: list[str], folder: Path, seconds: float, environment: Mapping[str, str] | None = None) -> str:
    """Run a command in ``folder``; what it printed. After so many seconds it is interrupted, and killed if that does not end it.

    How it ends is no sign of anything: some can only be ended by what they call an error."""
    with subprocess.Popen([*DIES_WITH_US, *command], cwd=folder, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            for patience, end in ((seconds, signal.SIGINT), (PATIENCE, signal.SIGKILL)):
                try:
                    return process.communicate(timeout=patience)[0].decode("utf-8", "replace")
                except subprocess.TimeoutExpired:
                    process.send_signal(end)
            return process.communicate()[0].decode("utf-8", "replace")
        finally:
            process.kill()  # should something else have ended this
