"""The solver pool: answers, time limits, dead processes, the cache."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from checker import solve
from checker.cache import FILE, Cache
from checker.solve import Answer, Solver, SolverError, find_solver

SAT = "(declare-const x (_ BitVec 8))\n(declare-const b Bool)\n(assert (= x #x2a))\n(assert b)"
UNSAT = "(declare-const x (_ BitVec 8))\n(assert (bvult x #x00))"
# Factoring the product of two 48-bit primes: far beyond the solver's means in a second.
HARD = f"""(declare-const a (_ BitVec 96))
(declare-const b (_ BitVec 96))
(assert (= (bvmul a b) (_ bv{251870415031607 * 201169857629941} 96)))
(assert (and (bvult (_ bv1 96) a) (bvult a (_ bv{1 << 48} 96))))
(assert (and (bvult (_ bv1 96) b) (bvult b (_ bv{1 << 48} 96))))"""


@pytest.fixture
def solver() -> Iterator[Solver]:
    with Solver(jobs=1, timeout=20) as pool:
        yield pool


def test_answers_and_values(solver: Solver) -> None:
    answer = solver.solve(SAT, ["x", "b", "((_ extract 3 0) x)", "(bvugt x #x01)", "(let ((y x)) (bvadd y y))"])
    assert answer.verdict == "sat"
    assert answer.values == {
        "x": 42, "b": True, "((_ extract 3 0) x)": 10, "(bvugt x #x01)": True, "(let ((y x)) (bvadd y y))": 84,
    }
    assert solver.solve(UNSAT, ["x"]) == Answer("unsat", "", {}, solver.solve(UNSAT, ["x"]).seconds)


def test_arrays_and_uninterpreted_functions(solver: Solver) -> None:
    text = """(declare-const m (Array (_ BitVec 24) (_ BitVec 8)))
    (declare-fun f ((_ BitVec 8)) (_ BitVec 8))
    (assert (= (f (select m #x000010)) #x07))
    (assert (distinct (f #x01) #x07))
    (assert (= (select m #x000010) #x01))"""
    assert solver.solve(text).verdict == "unsat"


def test_an_obligation_leaves_nothing_behind(solver: Solver) -> None:
    assert solver.solve("(declare-const x Bool)(assert x)(assert (not x))").verdict == "unsat"
    assert solver.solve("(declare-const x (_ BitVec 4))(assert (= x #x3))", ["x"]).values == {"x": 3}


def test_time_limit_is_hard() -> None:
    with Solver(jobs=1, timeout=0.5) as solver:
        begin = time.perf_counter()
        answer = solver.solve(HARD)
        assert time.perf_counter() - begin < 3
        assert (answer.verdict, answer.reason) == ("unknown", "no answer within 0.5 s")
        assert solver.solve(SAT).verdict == "sat"


def test_rejected_obligation_is_an_error_not_a_verdict(solver: Solver) -> None:
    with pytest.raises(SolverError, match="rejected"):
        solver.solve("(assert (nonsense))")
    with pytest.raises(SolverError):
        solver.solve(SAT, ["y"])
    assert solver.solve(SAT).verdict == "sat"


def test_killed_process_is_replaced(solver: Solver) -> None:
    assert solver.solve(SAT).verdict == "sat"
    process = solver._processes[0]._process
    assert process is not None
    process.kill()
    process.wait()
    assert solver.solve(UNSAT).verdict == "unsat"


def test_process_that_always_dies_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "z3"
    fake.write_text("#!/bin/sh\ncase $1 in --version) echo fake;; esac\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(solve, "find_solver", lambda: fake)
    with Solver(jobs=1, timeout=5) as solver:
        assert solver.solve(SAT) == Answer("unknown", "the solver process ended without an answer", {}, solver.solve(SAT).seconds)


def test_closing_leaves_no_process() -> None:
    solver = Solver(jobs=2, timeout=60)
    futures = [solver.submit(HARD + f"\n; {i}") for i in range(4)]
    deadline = time.monotonic() + 10
    while any(p._process is None for p in solver._processes) and time.monotonic() < deadline:
        time.sleep(0.01)
    solver.close()
    for process in solver._processes:
        assert process._process is not None
        assert process._process.poll() is not None
    assert all(future.done() for future in futures)


def test_same_answers_for_every_number_of_jobs() -> None:
    text = "(declare-const x (_ BitVec 16))(declare-const y (_ BitVec 16))(assert (= (bvmul x y) #x{0:04x}))(assert (bvult x y))"
    obligations = [(text.format(n), ["x", "y"]) for n in range(100, 160)]
    found = []
    for jobs in (1, 2, 4):
        with Solver(jobs=jobs, timeout=60) as solver:
            found.append([(a.verdict, a.values) for a in solver.solve_all(reversed(obligations) if jobs == 2 else obligations)])
    assert found[0] == found[1][::-1] == found[2]


def test_equal_obligations_are_solved_once(solver: Solver) -> None:
    first, second = solver.solve_all([(SAT, ["x"]), (SAT, ["x"])])
    assert first is second
    assert solver.obligations == 1


def test_cache_remembers(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache, Solver(1, 20, cache) as solver:
        fresh = [solver.solve(SAT, ["x"]), solver.solve(UNSAT)]
        assert solver.cached == 0
    with Cache(tmp_path) as cache, Solver(1, 20, cache) as solver:
        assert [solver.solve(SAT, ["x"]), solver.solve(UNSAT)] == fresh
        assert solver.solve(SAT, ["b"]).values == {"b": True}
        assert (solver.obligations, solver.cached) == (3, 2)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_unknown_is_not_remembered(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache, Solver(1, 0.2, cache) as solver:
        assert solver.solve(HARD).verdict == "unknown"
    with sqlite3.connect(tmp_path / FILE) as db:
        assert db.execute("SELECT count(*) FROM entries").fetchone() == (0,)
    db.close()


@pytest.mark.parametrize("damage", ["UPDATE entries SET value = '{'", "UPDATE entries SET value = replace(value, '42', '43')",
                                    "UPDATE entries SET digest = NULL", "UPDATE entries SET value = x'00ff'"])
def test_damaged_entry_is_ignored_and_rewritten(tmp_path: Path, damage: str) -> None:
    def run() -> tuple[Answer, int]:
        with Cache(tmp_path) as cache, Solver(1, 20, cache) as solver:
            return solver.solve(SAT, ["x"]), solver.cached

    run()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute(damage)
    db.close()
    answer, cached = run()
    assert (answer.values, cached) == ({"x": 42}, 0)
    assert run()[1] == 1


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 4000])
def test_damaged_file_is_started_afresh(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with Cache(tmp_path) as cache:
        assert cache.get("k") is None
        cache.put("k", "v")
    with Cache(tmp_path) as cache:
        assert cache.get("k") == "v"


def test_truncated_file(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        for n in range(2000):
            cache.put(f"{n:064}", "x" * 100)
    data = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(data[: len(data) // 2])
    with Cache(tmp_path) as cache:
        for n in range(2000):
            assert cache.get(f"{n:064}") in (None, "x" * 100)
        cache.put("k", "v")
    with Cache(tmp_path) as cache:
        assert cache.get("k") in ("v", None)


def test_no_folder_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Cache(tmp_path / "file" / "below") as cache:
        cache.put("k", "v")
        assert cache.get("k") == "v"
    assert (tmp_path / "file").read_text() == ""


def test_clear_removes_only_the_cache(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with Cache(tmp_path) as cache:
        cache.put("k", "v")
    assert Cache(tmp_path).clear() > 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_export_writes_files_a_solver_reads(tmp_path: Path) -> None:
    with Solver(1, 20) as solver:
        solver.export(tmp_path / "out")
        solver.solve_all([(SAT, ["x"]), (UNSAT, [])])
    answers = set()
    for file in (tmp_path / "out").glob("*.smt2"):
        assert file.read_text().startswith("(set-logic ")
        answers.add(subprocess.run([find_solver(), file], capture_output=True, text=True, check=True).stdout.split()[0])
    assert answers == {"sat", "unsat"}
