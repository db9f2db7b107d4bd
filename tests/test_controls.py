"""Controls on a toy machine: whether there are values the monitor can choose, and that those found are the smallest."""

from __future__ import annotations

from toys import STATE, find, judge, monitor, profile, toy

from checker.model import Report

GUARDED = STATE.replace("  clock", "  guard : bits(2)     resource control\n  clock")
GUARDS = monitor(guard=": control")


def guarded(*instructions: tuple[str, str]) -> Report:
    return judge(toy(dict(instructions), state=GUARDED, profile=GUARDS))


def test_conditional_privilege() -> None:
    """Whether it traps is for the control to say: critical over all states, privileged under the value that is found."""
    report = guarded(("READ", "trap refused when m == 1 and guard[0] == 1\ng[r] <- zext(mask, 8)"))
    found = find(report, "READ")
    assert (found.privileged, found.critical, found.critical_unconditional) == ("proved", False, True)
    assert (report.theorems["T1"].verdict, report.theorems["T1"].under_controls.verdict) == ("refuted", "proved")
    assert profile(report).controls["guard"] == "1"
    assert profile(report).verdict == "proved"


def test_controls_are_the_smallest_that_suffice() -> None:
    report = guarded(
        ("HIGH", "trap refused when m == 1 and guard[1] == 1\ng[r] <- zext(mask, 8)"),
        ("ANY", "trap refused when m == 1 and guard != 0\nmask <- 0"),
    )
    assert profile(report).controls["guard"] == "2"
    assert profile(report).verdict == "proved"


def test_controls_that_need_not_be_set_stay_clear() -> None:
    report = guarded(("CLEAR", "trap refused when m == 1 and guard != 3\ng[r] <- zext(mask, 8)"))
    assert profile(report).controls["guard"] == "0"
    assert profile(report).verdict == "proved"


def test_a_state_demands_something_of_the_controls_alone() -> None:
    """Whether this traps lies in a cell whose address lies in a cell. Were that one free in what a state demands, the demand could be
    met by other storage, and the search would never get on."""
    report = guarded(("FOLLOW", "trap refused when m == 1 and (storage(storage(g[q], 8), 8) == 7 or guard[1] == 1)\ng[r] <- zext(mask, 8)"))
    assert profile(report).controls["guard"] == "2"
    assert profile(report).verdict == "proved"


def test_controls_that_conflict_leave_something_broken() -> None:
    report = guarded(
        ("ONE", "trap refused when m == 1 and guard[0] == 1\ng[r] <- zext(mask, 8)"),
        ("ZERO", "trap refused when m == 1 and guard[0] == 0\ng[r] <- zext(mask, 8)"),
    )
    assert profile(report).verdict == "refuted"
    assert len(profile(report).broken) == 1
    assert report.theorems["T1"].under_controls.verdict == "refuted"


def test_a_control_must_serve_all_states() -> None:
    """No single value makes it trap whatever the operand is, though every operand has one that does."""
    report = guarded(("KEY", "trap refused when m == 1 and guard == r\ng[q] <- zext(mask, 8)"))
    assert profile(report).broken == ["KEY"]
    assert find(report, "KEY").critical is True
