"""Ctrl-C at some moment of a run, and what it leaves behind. Needs /proc to find processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
MARK = "VCHECK_INTERRUPTED"  # in the environment of the run and of every process it starts


@dataclass(frozen=True)
class Remains:
    """What an interrupted run leaves: exit status (None if it was not over in time), output, files, live processes.

    ``seconds`` is how long it took to end after the signal; ``solving`` whether it had solver processes by then."""

    status: int | None
    error: str
    files: tuple[str, ...]
    processes: tuple[int, ...]
    seconds: float
    solving: bool


def heed_interrupts() -> None:
    """Have processes started from here heed Ctrl-C: a run in the background of a shell starts with it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def interrupt(arguments: list[str], after: float, folder: Path) -> Remains:
    """Run the command in ``folder`` and press Ctrl-C ``after`` seconds. What it leaves is killed here."""
    mark = f"{MARK}={uuid.uuid4().hex}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **dict([mark.split("=", 1)])}
    command = [sys.executable, "-m", "checker", *arguments]
    heed_interrupts()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        time.sleep(after)
        solving = len(marked(mark)) > 1
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes in the foreground
        sent = time.monotonic()
        try:
            _, error = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            _, error = process.communicate()
            return Remains(None, error, listed(folder), end(marked(mark)), time.monotonic() - sent, solving)
    return Remains(process.returncode, error, listed(folder), end(marked(mark)), time.monotonic() - sent, solving)


def listed(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")))


def marked(mark: str) -> list[int]:
    """The live processes with ``mark`` in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:  # gone by now, or another user's
            continue
    return found


def end(processes: list[int]) -> tuple[int, ...]:
    for pid in processes:
        os.kill(pid, signal.SIGKILL)
    return tuple(processes)
