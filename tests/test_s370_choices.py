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
UNPRIVILEGED = (('"SPKA {d2}({b2})"\n  privileged\n', '"SPKA {d2}({b2})"\n'), ('"IPK"\n  privileged\n', '"IPK"\n'))


@pytest.mark.parametrize(("changes", "theorem", "monitor", "because"), [
    ((("cr8.monitor_masks : guest", "cr8.monitor_masks : host"),), "refuted", "refuted", {"MC"}),
    ((ROLE, HOST_CLOCK), "refuted", "refuted", {"STCK"}),
    ((HOST_CLOCK,), "proved", "refuted", {"STCK"}),
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
