"""``python -m tests.benchmarks.start [NAME...]``: seconds from a command to what a guest has said, with an empty cache folder and with a
full one, by the clock; the best of several runs and the worst. What a guest says comes after its last instruction, so that its first one
is sooner. With an empty folder the command goes on for as long as optimized code is compiled, to be kept."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

NAMES = ("s370", "x86", "x86_vtx")
RUNS = 3


def once(name: str, folder: str) -> tuple[float, float]:
    """Seconds to the first output of ``vcheck run NAME os``, and to its end."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "checker", "run", name, "os"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, "XDG_CACHE_HOME": folder}) as run:
        assert run.stdout is not None
        assert run.stdout.read(1)
        said = time.perf_counter() - began
        run.stdout.read()
        run.wait()
        return said, time.perf_counter() - began


def main(names: list[str]) -> None:
    print("| description | cold, said | cold, ended | warm, said |\n|---|--:|--:|--:|")
    for name in names or NAMES:
        cold, ended, warm = [], [], []
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory() as folder:
                said, end = once(name, folder)
                cold.append(said)
                ended.append(end)
                warm += [once(name, folder)[0] for _ in range(3)]
        print(f"| {name} | {' | '.join(f'{min(times):.2f} to {max(times):.2f} s' for times in (cold, ended, warm))} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
