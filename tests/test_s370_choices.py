"""Verdicts on System/370 that rest on a choice of the description, and what the other choice gives (docs/limits.md)."""

from __future__ import annotations

from pathlib import Path

import pytest

import isa_specs
from checker.analysis import analyse
from checker.options import Options
from isa_specs.load import loads

TEXT = (Path(isa_specs.__file__).parent / "s370.spec").read_text(encoding="utf-8")
ROLE = ("tod              : bits(64) time", "tod              : bits(64) resource control")
HOST_CLOCK = ("tod, cpu_timer : guest", "tod : host\n  cpu_timer : guest")
LOAD = "  gpr[r1] <- virtual(indexed2(), 32)\n"
TIMER = (("  timer_expired    :", "  timer : bits(32) time\n  timer_expired    :"),
         (LOAD, LOAD.replace("virtual", "if indexed2() == 80 then timer else virtual")))
DIAGNOSE = "  diagnostic <- r1 ++ r3 ++ address2()\n"
UNPRIVILEGED = (('"SPKA {d2}({b2})"\n  privileged\n', '"SPKA {d2}({b2})"\n'), ('"IPK"\n  privileged\n', '"IPK"\n'))


@pytest.mark.parametrize(("changes", "theorem", "monitor", "because"), [
    ((("cr8.monitor_masks : guest", "cr8.monitor_masks : host"),), "refuted", "refuted", {"MC"}),
    ((ROLE, HOST_CLOCK), "refuted", "refuted", {"STCK"}),
    ((HOST_CLOCK,), "proved", "refuted", {"STCK"}),
    ((*TIMER, ("tod, cpu_timer : guest", "tod, cpu_timer, timer : guest")), "proved", "proved", set()),
    ((*TIMER, ("tod, cpu_timer : guest", "tod, cpu_timer : guest\n  timer : host")), "proved", "refuted", {"L"}),
    (((DIAGNOSE, "  psw.prob <- 0\n  psw.key <- r1\n  tod <- 0\n  keys(0) <- 0\n"),), "proved", "proved", set()),
    ((("  privileged\n" + DIAGNOSE, DIAGNOSE),), "refuted", "refuted", {"DIAG"}),
    (UNPRIVILEGED, "proved", "proved", set()),
    ((*UNPRIVILEGED, ("psw.key : guest", "psw.key : host")), "refuted", "refuted", {"IPK", "SPKA"}),
])  # fmt: skip
def test_the_other_choice(changes: tuple[tuple[str, str], ...], theorem: str, monitor: str, because: set[str]) -> None:
    text = TEXT
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    report = analyse(loads(text), Options())
    assert report.theorems["T1"].verdict == theorem
    assert report.monitors[0].verdict == monitor
    assert set(report.monitors[0].broken) == because
    assert ("L" in report.theorems["T2"].exceptions) == (TIMER[0] in changes)


def test_the_page_names_every_choice() -> None:
    page = (Path(__file__).parent.parent / "docs" / "limits.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("|")]
    named = {row[1].strip() for row in rows if len(row) == 5 and row[2].strip() and row[3].strip()}
    assert {"STCK", "MC", "SPKA, IPK", "Interval timer", "DIAGNOSE"} <= named
