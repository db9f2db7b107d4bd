"""Deciding obligations: a pool of solver processes that can be killed.

An obligation is an SMT-LIB text over bit vectors, arrays and uninterpreted functions, without ``set-logic`` and
``check-sat``. Each is solved by a ``z3`` process that was reset before, so the answer depends on the text alone, not on
what was solved earlier or on how many processes there are. The time limit is wall-clock time and hard: the process is
killed. Z3's own limit (``:timeout``) is set somewhat later, for processes whose owner was killed in turn.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal

from checker.cache import Cache
from isa_specs.keeping import digest

DEFAULT_TIMEOUT = 10.0  # seconds
NICE = 10  # how much solvers stand back behind the process that asks
MEMORY_LIMIT = 2048  # MiB for each process
SWITCHING = 0.0005  # seconds a thread keeps the interpreter while others want it
# What a reset gives back is needed again at once: the allocator is to keep it (glibc; elsewhere this has no meaning).
SETTINGS = {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=1000000000:glibc.malloc.mmap_threshold=1000000000:glibc.malloc.top_pad=16000000"}
LOGIC = "QF_AUFBV"
CHECK, CHECK_LARGE = "(check-sat-using smt)", "(check-sat)"
LARGE = 250_000  # characters: up to here what (check-sat) does before it begins to search takes longer than it saves

Verdict = Literal["sat", "unsat", "unknown"]


class SolverError(Exception):
    """There is no solver, or it refused an obligation: a mistake in this program, never a verdict."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``values`` are the wanted terms' values when sat. ``reason`` says why a verdict is unknown. ``seconds`` is wall-clock time."""

    verdict: Verdict
    reason: str = ""
    values: dict[str, int | bool] = field(default_factory=dict)
    seconds: float = 0.0


def find_solver() -> Path:
    """The ``z3`` program of the z3-solver wheel, else the one on PATH. Raises SolverError when there is none."""
    for candidate in _candidates():
        if candidate.is_file():
            return candidate
    raise SolverError("no z3 program found: install the z3-solver package in this environment")


def _candidates() -> Iterator[Path]:
    for folder in (Path(sysconfig.get_path("scripts")), Path(sys.executable).parent):
        yield folder / "z3"
        yield folder / "z3.exe"
    import importlib.metadata  # mostly not needed, and the slowest of all imports

    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("z3-solver") or ():
            if file.name in ("z3", "z3.exe"):
                yield Path(str(file.locate()))
    found = shutil.which("z3")
    if found:
        yield Path(found)


def solver_version(program: Path) -> str:
    """What the solver says of itself, such as ``Z3 version 5.4.0 - 64 bit``."""
    try:
        return subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError) as error:
        raise SolverError(f"{program} does not run: {error}") from error


class Solver:
    """Solves obligations with ``jobs`` processes, each obligation within ``timeout`` seconds.

    A context manager: leaving it, by an exception too, kills the processes.
    """

    def __init__(self, jobs: int = 2, timeout: float = DEFAULT_TIMEOUT, cache: Cache | None = None):
        self.program = find_solver()
        self.version = solver_version(self.program)
        self.timeout = timeout
        self.cache = cache
        self.obligations = 0  # different ones seen
        self.cached = 0  # of them, answered from the cache
        self._known: dict[str, Future[Answer]] = {}
        self._export: Path | None = None
        self._processes = [_Process(self.program) for _ in range(max(1, jobs))]
        self._idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        for process in self._processes:
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(max(1, jobs), thread_name_prefix="solver")

    def __enter__(self) -> Solver:
        # Whoever builds terms would hold the interpreter for ten times as long as it takes to hand a solver its next obligation.
        self._switching = sys.getswitchinterval()
        sys.setswitchinterval(SWITCHING)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        sys.setswitchinterval(self._switching)
        self.close()

    def close(self) -> None:
        """Drop what is waiting and kill the processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            process.close()
        self._threads.shutdown(wait=True)

    def export(self, directory: Path) -> None:
        """From now on write every obligation to ``directory`` too, as a complete SMT-LIB file. Raises OSError."""
        directory.mkdir(parents=True, exist_ok=True)
        self._export = directory

    def submit(self, text: str, want: Sequence[str] = (), *, optimise: bool = False) -> Future[Answer]:
        """Begin to solve ``text``; if it is sat, evaluate the terms ``want``. An obligation seen before is not solved again.

        With ``optimise`` the values are those that also satisfy the most of its ``assert-soft``."""
        key = digest(["answer", self.version, text, " ".join(want)])
        known = self._known.get(key)
        if known is not None:
            return known
        self.obligations += 1
        if self._export is not None:
            whole = f"(set-logic {LOGIC})\n{text}\n(check-sat)\n" + (f"(get-value ({' '.join(want)}))\n" if want else "")
            (self._export / f"{key[:20]}.smt2").write_text(whole, encoding="utf-8")
        answer = self._recall(key, want)
        if answer is not None:
            self.cached += 1
            future: Future[Answer] = Future()
            future.set_result(answer)
        else:
            check = CHECK_LARGE if optimise or len(text) > LARGE else CHECK
            future = self._threads.submit(self._work, key, f"{text}\n{check}", tuple(want))
        self._known[key] = future
        return future

    def solve(self, text: str, want: Sequence[str] = (), *, optimise: bool = False) -> Answer:
        """Solve one obligation. Raises SolverError when the solver rejects the text."""
        return self.submit(text, want, optimise=optimise).result()

    def solve_all(self, obligations: Iterable[tuple[str, Sequence[str]]]) -> list[Answer]:
        """Solve several at a time; the answers are in the order of the obligations."""
        futures = [self.submit(text, want) for text, want in obligations]
        return [future.result() for future in futures]

    def _work(self, key: str, text: str, want: tuple[str, ...]) -> Answer:
        process = self._idle.get()
        try:
            answer = process.ask(text, want, self.timeout)
        finally:
            self._idle.put(process)
        # An unknown depends on the machine and its load: it is worth another try next time.
        if self.cache is not None and answer.verdict != "unknown":
            self.cache.put(key, json.dumps(asdict(answer)))
        return answer

    def _recall(self, key: str, want: Sequence[str]) -> Answer | None:
        stored = self.cache.get(key) if self.cache is not None else None
        if stored is None:
            return None
        try:
            answer = Answer(**json.loads(stored))
        except (ValueError, TypeError):
            return None
        complete = answer.verdict == "unsat" or (answer.verdict == "sat" and set(answer.values) == set(want))
        return answer if complete else None


class _Process:
    """One solver process, started when first needed and again after it was killed."""

    def __init__(self, program: Path):
        self._command = [str(program), "-in", "-smt2", f"-memory:{MEMORY_LIMIT}", "smt.random_seed=0", "sat.random_seed=0"]
        self._process: subprocess.Popen[str] | None = None
        self._starting = threading.Lock()
        self._closed = False

    def ask(self, text: str, want: Sequence[str], timeout: float) -> Answer:
        begin = time.perf_counter()
        for _ in range(2):  # a process that was killed from outside gets a successor, once
            process = self._running()
            if process is None:
                return Answer("unknown", "interrupted")
            expired = threading.Event()
            watchdog = threading.Timer(timeout, _kill, [process, expired])
            watchdog.daemon = True
            watchdog.start()
            try:
                verdict, reason, values = _converse(process, text, want, timeout)
                return Answer(verdict, reason, values, time.perf_counter() - begin)
            except (EOFError, OSError, ValueError):
                self._discard(process)
                if expired.is_set():
                    return Answer("unknown", f"no answer within {timeout:g} s", {}, time.perf_counter() - begin)
            except BaseException:  # rejected text: what follows in the pipe would be taken for the next answer
                self._discard(process)
                raise
            finally:
                watchdog.cancel()
        return Answer("unknown", "the solver process ended without an answer", {}, time.perf_counter() - begin)

    def close(self) -> None:
        with self._starting:
            self._closed = True
            process = self._process
        if process is not None:
            self._discard(process)

    def _running(self) -> subprocess.Popen[str] | None:
        with self._starting:
            if self._closed:
                return None
            if self._process is not None and self._process.poll() is not None:
                self._discard(self._process)
                self._process = None
            if self._process is None:
                # Its own process group: Ctrl-C is for us, and we end the process.
                self._process = subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                    text=True, encoding="utf-8", process_group=0, env={**os.environ, **SETTINGS},
                )
                with contextlib.suppress(OSError, AttributeError):  # whoever asks the questions goes first: solvers wait for these
                    os.setpriority(os.PRIO_PROCESS, self._process.pid, NICE)
            return self._process

    def _discard(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError, ValueError):
                    pipe.close()


def _kill(process: subprocess.Popen[str], expired: threading.Event) -> None:
    expired.set()
    process.kill()


_END = "that-is-all"


def _converse(process: subprocess.Popen[str], text: str, want: Sequence[str], timeout: float) -> tuple[Verdict, str, dict[str, int | bool]]:
    """One obligation with its check in, one answer out. EOFError or OSError when the process is gone."""
    limit = int(1000 * (timeout + 2))
    out = _exchange(process, f"(reset)\n(set-option :timeout {limit})\n(set-logic {LOGIC})\n{text}")
    if "out of memory" in out:
        return "unknown", f"the solver needs more than {MEMORY_LIMIT} MiB", {}
    if out == "unsat":
        return "unsat", "", {}
    if out == "sat":
        values = _values(_exchange(process, f"(get-value ({' '.join(want)}))"), want) if want else {}
        return "sat", "", values
    if out == "unknown":
        return "unknown", _exchange(process, "(get-info :reason-unknown)").partition('"')[2].rstrip('")') or "the solver gave up", {}
    raise SolverError(f"the solver rejected an obligation: {out[:400]}")


def _exchange(process: subprocess.Popen[str], commands: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f'{commands}\n(echo "{_END}")\n')
    process.stdin.flush()
    lines: list[str] = []
    for line in process.stdout:
        if line.rstrip() == _END:
            return "".join(lines).strip()
        lines.append(line)
    if any("out of memory" in line for line in lines):
        return "out of memory"
    raise EOFError


_TOKEN = re.compile(r'\|[^|]*\||"[^"]*"|[()]|[^\s()|"]+')


def _values(text: str, want: Sequence[str]) -> dict[str, int | bool]:
    """The answer ``((term value) ...)`` of get-value; the terms come back in order, printed anew."""
    found: list[str] = []
    depth, last = 0, ""
    for token in _TOKEN.findall(text):
        depth += (token == "(") - (token == ")")
        if token == ")" and depth == 1:
            found.append(last)
        last = token
    if len(found) != len(want):
        raise SolverError(f"the solver did not evaluate the wanted terms: {text[:400]}")
    return {term: _value(value) for term, value in zip(want, found, strict=True)}


def _value(text: str) -> int | bool:
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("#x"):
        return int(text[2:], 16)
    if text.startswith("#b"):
        return int(text[2:], 2)
    raise SolverError(f"the solver's value {text!r} is neither a bit vector nor a truth value")
