"""Ctrl-C during a real check: no half-written file, no process left, and soon."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from interrupts import interrupt

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


@pytest.mark.parametrize("after", [1.0, 2.5])
def test_a_check_can_be_interrupted(after: float, tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("of yesterday")
    remains = interrupt(["x86", "x86_vtx", "--no-cache", "-o", "report.txt"], after, tmp_path)
    assert remains.status == 130
    assert remains.error == "vcheck: interrupted\n"
    assert remains.files == ("report.txt",)
    assert (tmp_path / "report.txt").read_text() == "of yesterday"
    assert remains.processes == ()
    assert remains.seconds < 5
