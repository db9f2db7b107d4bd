"""``python -m tests.benchmarks.batches [NAME...]``: single-instruction states a second, batched, on one thread and on all.

The states are those of campaigns: random instructions of every form, form after form, in legal states for the most part, over storage
full of edges that is put back after each. Decoding is part of it; states are made before. The best of several runs counts. The figure by
processor time is that of one thread without its neighbours on the machine.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np

from isa_specs.load import load
from machine.batch import STATUS
from machine.cases import Sampler
from machine.generated import slots
from machine.jitted import JittedMachine

NAMES = ("third_generation", "s370", "x86")
STATES = 400_000
RUNS = 5


def measure(name: str, threads: int) -> tuple[float, float, float]:
    """Millions of states a second by the clock and of processor time, and the share of states that trap."""
    machine = JittedMachine(load(name))
    sampler = Sampler(machine, threads=threads)
    background = sampler.background(0, 0)
    each = -(-STATES // len(sampler.isa.forms))
    few = [sampler.rows(form, 0, 0, 100, background) for form in sampler.isa.forms]
    rows = np.concatenate([np.resize(some, (each, some.shape[1])) for some in few if len(some)])
    sampler.lay(background)
    best = used = 0.0
    for _ in range(RUNS):
        run = rows.copy()
        began, busy = time.perf_counter(), time.process_time()
        sampler.batch.run(run)
        best = max(best, len(run) / (time.perf_counter() - began) / 1e6)
        used = max(used, len(run) / (time.process_time() - busy) / 1e6)
    statuses = sampler.batch.outcomes(run)[:, STATUS]
    assert not (statuses == slots.PLAIN).any()
    return best, used, float((statuses < 0).mean())


def main(names: list[str]) -> None:
    print("| description | states that trap | one thread, by processor time | by the clock | all processors |\n|---|--:|--:|--:|--:|")
    for name in names or NAMES:
        one, used, traps = measure(name, 1)
        every, _, _ = measure(name, os.cpu_count() or 1)
        print(f"| {name} | {100 * traps:.0f} % | {used:.1f} M/s | {one:.1f} M/s | {every:.1f} M/s |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
