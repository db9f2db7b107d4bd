"""Popek and Goldberg's definitions on toy machines small enough to know the answers.

Every row says what must be found and, by saying no more, what must not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest
from toys import MODES, STATE, TRAPS, find, judge, monitor, profile, toy

from checker.model import Monitor, Report
from isa_specs.load import bundled


@dataclass(frozen=True)
class Known:
    """An instruction and what is known of it. ``clauses`` are the ways its square fails, none when it commutes; with
    ``replayed`` the machine can show it."""

    body: str
    privileged: bool = False
    sensitive: str = ""
    user: bool = False
    clauses: str = ""
    observes: str = ""
    certificate: str = "smt"
    replayed: bool = True


ROWS: dict[str, Known] = {
    # ---- innocuous ----
    "MOVE": Known("g[r] <- g[q] + 1", certificate="flow"),
    "LOAD": Known("g[r] <- storage(g[q], 8)", certificate="flow"),
    "STORE": Known("storage(g[q], 8) <- g[r]", certificate="flow"),
    "JUMP": Known("pc <- g[r]", certificate="flow"),
    "DIVIDE": Known("""
        trap wrong when g[q] == 0
        g[r] <- g[r] / g[q]
        """, certificate="flow"),
    "NOTHING": Known("g[r] <- g[r]", certificate="flow"),
    # What a value is read for does not matter when the result does not depend on it.
    "CANCELLED": Known("g[r] <- zext(mask, 8) - zext(mask, 8)"),
    "SAME_MASK": Known("mask <- mask"),
    "SAME_IF": Known("g[r] <- if m == 1 then g[q] else g[q] + 0"),
    "CALL_SYSTEM": Known("trap request(n)", certificate="flow"),
    # ---- privileged ----
    "PRIVILEGED_ONLY": Known("privileged", privileged=True),
    # Traps in user mode, but in supervisor mode as well: section 3 wants it to execute there.
    "NEVER": Known("trap refused", certificate="flow"),
    "MEMORY_IN_USER": Known("trap fault when m == 1", privileged=True),
    "SET_MASK": Known("""
        privileged
        mask <- low(g[r], 4)
        """, privileged=True, sensitive="control"),
    "READ_MASK": Known("""
        privileged
        g[r] <- zext(mask, 8)
        """, privileged=True, sensitive="resource"),
    "READ_MODE": Known("""
        privileged
        g[r] <- zext(m, 8)
        """, privileged=True),
    "SUPERVISOR_TRAPS": Known("""
        trap refused when m == 0
        g[r] <- 0
        """, sensitive="mode", clauses="trap"),
    # The trap depends on an operand: some user gets through.
    "HALF_GUARDED": Known("""
        trap refused when m == 1 and r != 0
        mask <- low(g[q], 4)
        """, sensitive="control", user=True, clauses="host record"),
    # ---- control sensitive ----
    "MASK_FREE": Known("mask <- low(g[r], 4)", sensitive="control", user=True, clauses="host record"),
    "BASE_FREE": Known("base <- g[r]", sensitive="control", user=True, clauses="host record"),
    "PORT_FREE": Known("port(r) <- low(g[q], 4)", sensitive="control", user=True, clauses="host record"),
    "TO_SUPERVISOR": Known("m <- 0", sensitive="control", user=True, clauses="host record"),
    "TO_USER": Known("m <- 1", sensitive="control", clauses="record"),
    # Nothing happens in user mode: not privileged, and the monitor is not told.
    "SILENT": Known("mask <- low(g[r], 4) when m == 0", sensitive="control mode", clauses="record"),
    # The same, where the real machine even holds the right value all the time: f of both states agrees, the record does not.
    "POPF": Known("flag <- n[0] when m == 0", sensitive="control mode", clauses="record"),
    "SUPERVISOR_MASK": Known("""
        g[r] <- g[q]
        if m == 0
          mask <- 0
        """, sensitive="control mode", clauses="record"),
    # ---- behaviour and resource sensitive ----
    "BASE_OUT": Known("g[r] <- base", sensitive="location", user=True, clauses="effect"),
    "BASE_TO_STORAGE": Known("storage(g[q], 8) <- base", sensitive="location", user=True, clauses="effect"),
    "BASE_TO_MANY": Known("""
        for i in 0 .. 199
          storage(g[q] + i, 8) <- base
        """, sensitive="location", user=True, clauses="effect"),
    # One cell of so many is looked at alone first.
    "BASE_TO_LAST_OF_MANY": Known("""
        for i in 0 .. 199
          storage(g[q] + i, 8) <- if i == 199 then base else i
        """, sensitive="location", user=True, clauses="effect"),
    "NOTHING_TO_MANY": Known("""
        for i in 0 .. 199
          storage(g[q] + i, 8) <- g[r] ^ (zext(mask, 8) << i << 4 << 4)
        """),
    "BASE_STEERS": Known("pc <- base", sensitive="location", user=True, clauses="effect"),
    "MODE_OUT": Known("g[r] <- zext(m, 8)", sensitive="mode", clauses="effect"),
    "MODE_STEERS": Known("pc <- g[r] when m == 1", sensitive="mode", clauses="effect"),
    "MASK_OUT": Known("g[r] <- zext(mask, 8)", sensitive="resource", user=True, clauses="effect"),
    "PORT_OUT": Known("g[r] <- zext(port(q), 8)", sensitive="resource", user=True, clauses="effect"),
    "FLAG_OUT": Known("g[r] <- zext(flag, 8)", sensitive="resource", user=True, clauses="effect"),
    "MASK_TRAPS": Known("""
        trap wrong when mask == 0
        g[r] <- 1
        """, sensitive="resource", user=True, clauses="trap"),
    "TWO_KINDS": Known("g[r] <- zext(mask, 8) ^ base", sensitive="location resource", user=True, clauses="effect"),
    "MASK_COPIED": Known("base <- zext(mask, 8)", sensitive="control resource", user=True, clauses="host record"),
    # ---- undefined results and operations the solver does not know ----
    "ANY_RESULT": Known("g[r] <- undefined", certificate="flow"),
    "ANY_IN_USER": Known("g[r] <- if m == 1 then undefined else 0", sensitive="mode", clauses="effect", replayed=False),
    "SAME_CHOICE": Known("g[r] <- undefined & zext(mask | ~mask, 8)"),
    "ROOT": Known("g[r] <- low(isqrt(zext(g[q], 32)), 8)", certificate="flow"),
    "ROOT_OF_MASK": Known("g[r] <- low(isqrt(zext(mask, 32)), 8)", sensitive="resource", user=True, clauses="effect"),
    # ---- another instruction in place of this one ----
    "EXECUTE": Known("execute storage(g[r], 16)"),
    "EXECUTE_MASK": Known("execute zext(mask, 16)", sensitive="resource", user=True, clauses="effect", replayed=False),
    # ---- time and identity: noticed, and harmless to equivalence ----
    "CLOCK_OUT": Known("g[r] <- clock", observes="time"),
    "ID_OUT": Known("g[r] <- id", observes="identity"),
}

MORE = "extern isqrt(x : bits(32)) -> bits(32)\n"


@cache
def toy_report() -> Report:
    return judge(toy({name: row.body for name, row in ROWS.items()}, more=MORE))


@pytest.mark.parametrize("name", ROWS)
def test_classified_as_known(name: str) -> None:
    row, found = ROWS[name], find(toy_report(), name)
    assert found.privileged == ("proved" if row.privileged else "refuted")
    assert sorted(found.sensitive) == row.sensitive.split()
    assert found.user_sensitive is row.user
    critical = bool(row.sensitive) and not row.privileged
    assert found.critical is (None if critical and not row.replayed else critical)
    assert found.observes == row.observes.split()
    assert found.certificate == row.certificate


def test_one_cell_of_an_owned_space() -> None:
    assert find(toy_report(), "PORT_FREE").sensitive == ["control"]


@pytest.mark.parametrize("name", ROWS)
def test_square_fails_as_known(name: str) -> None:
    row, vmm = ROWS[name], profile(toy_report())
    # Nothing is shown that the machine did not do, so what it cannot be made to do stays open.
    assert vmm.squares[name] == ("proved" if not row.clauses else "refuted" if row.replayed else "unknown")
    clauses = [b.clause for b in vmm.breaks if b.instruction == name]
    assert len(clauses) == (1 if row.clauses and row.replayed else 0)
    assert set(clauses) <= set(row.clauses.split())


def test_classification_and_squares_agree() -> None:
    """Sensitive and not privileged is the same as a square that does not commute, but for what is said below of memory and identity."""
    vmm = profile(toy_report())
    for found in toy_report().instructions:
        assert vmm.squares[found.name] == {True: "refuted", False: "proved", None: "unknown"}[found.critical], found.name


def test_critical_instructions_are_replayed() -> None:
    for found in toy_report().instructions:
        if found.critical:
            assert found.witness is not None
            assert found.witness.replayed, found.name


def test_theorems_name_the_critical_instructions() -> None:
    report = toy_report()
    critical = {name for name, row in ROWS.items() if row.clauses}
    assert report.theorems["T1"].verdict == "refuted"
    replayed = {name for name in critical if ROWS[name].replayed}  # the others refute nothing
    assert set(report.theorems["T1"].because) == replayed
    assert set(report.theorems["T3"].because) == {name for name in replayed if ROWS[name].user}
    assert report.theorems["T2"].exceptions == ["CLOCK_OUT"]
    assert set(profile(report).broken) == {name for name in critical if ROWS[name].replayed}
    assert set(profile(report).unknown) == {name for name in critical if not ROWS[name].replayed}


SOUND = [name for name, row in ROWS.items() if row.privileged or not row.sensitive]


@cache
def sound_report() -> Report:
    return judge(toy({name: ROWS[name].body for name in SOUND}, more=MORE))


def test_without_critical_instructions_everything_holds() -> None:
    report = sound_report()
    for name in ("T1", "T2", "T3"):
        assert (report.theorems[name].verdict, report.theorems[name].under_controls.verdict) == ("proved", "proved")
    assert profile(report).verdict == "proved"
    assert report.unknown == []


@pytest.mark.parametrize("extra", [name for name in ROWS if name not in SOUND])
def test_any_one_of_them_spoils_theorem_1(extra: str) -> None:
    report = judge(toy({"MOVE": ROWS["MOVE"].body, "SET_MASK": ROWS["SET_MASK"].body, extra: ROWS[extra].body}, more=MORE))
    refuted = "refuted" if ROWS[extra].replayed else "unknown"
    assert report.theorems["T1"].verdict == refuted
    assert report.theorems["T1"].because == [extra]
    assert report.theorems["T3"].verdict == (refuted if ROWS[extra].user else "proved")
    assert [*profile(report).broken, *profile(report).unknown] == [extra]


# ---- invariants --------------------------------------------------------------------------------


TWIN = STATE.replace("  base ", "  twin  : bit         mode \"a copy of the mode\"\n  base ")
TWINS = {"COMPARE": "g[r] <- zext(m ^ twin, 8)", "TWIN_OUT": "g[r] <- zext(twin, 8)"}
TWIN_PROFILE = monitor(twin="-> 1")


@pytest.mark.parametrize(("tied", "sensitive"), [(True, []), (False, ["mode"])])
def test_invariants_tie_components(tied: bool, sensitive: list[str]) -> None:
    """Modes may differ only as the invariants allow, so the comparison of two copies tells nothing."""
    modes = MODES + ('invariant "the copy is right" twin == m\n' if tied else "")
    report = judge(toy(TWINS, state=TWIN, profile=TWIN_PROFILE, modes=modes))
    assert find(report, "COMPARE").sensitive == sensitive
    assert find(report, "TWIN_OUT").sensitive == ["mode"]


def test_an_invariant_can_make_sensitivity_vacuous() -> None:
    """A component of another class that follows the mode leaves no two legal states that differ only in mode."""
    state = TWIN.replace('mode "a copy of the mode"', "resource control")
    modes = MODES + 'invariant "the copy is right" twin == m\n'
    report = judge(toy({"MODE_OUT": ROWS["MODE_OUT"].body}, state=state, profile=TWIN_PROFILE, modes=modes))
    assert find(report, "MODE_OUT").sensitive == []
    assert profile(report).broken == ["MODE_OUT"], "the square varies all owned components at once"


KEEPS_RECORD = """
if m == 0
  mask <- low(g[r], 4)
else
  shadow <- {}
"""


@pytest.mark.parametrize(("body", "broken"), [
    (KEEPS_RECORD.format("low(g[r], 4)"), []),
    (KEEPS_RECORD.format("low(g[q], 4)"), [("KEEP", "host")]),
    (KEEPS_RECORD.format("if g[r] == 7 then shadow else low(g[r], 4)"), [("KEEP", "host")]),
    ("mask <- low(g[r], 4) when m == 0", [("KEEP", "record")]),
    (KEEPS_RECORD.format("low(g[r], 4)") + "mask <- 0 when m == 1", [("KEEP", "host")]),
])
def test_hardware_may_keep_the_record(body: str, broken: list[tuple[str, str]]) -> None:
    """What the map does not forget needs no trap, if its copy follows on the real machine."""
    kept = monitor(shadow="-> mask") + '  assume "the guest is in supervisor mode" m == 0\n'
    report = judge(toy({"KEEP": body}, state=STATE.replace("  flag  :", "  shadow : bits(4) resource interrupt\n  flag  :"), profile=kept))
    assert [(b.instruction, b.clause) for b in profile(report).breaks] == broken
    assert find(report, "KEEP").critical, "it completes in user mode and changes what the monitor owns"


def test_broken_invariants_are_named() -> None:
    modes = MODES + 'invariant "masked in user mode" m == 0 or mask == 0\ninvariant "always" pc == pc\n'
    bodies = {"FINE": "privileged\nflag <- 1", "UNMASK": "privileged\nm <- 1\nmask <- low(g[r], 4)", "MASKED": "privileged\nmask <- 0"}
    found = judge(toy(bodies, modes=modes)).invariants
    assert [(i.verdict, i.instruction) for i in found] == [("refuted", "UNMASK"), ("proved", "")]


def test_broken_invariants_of_deliveries_are_named() -> None:
    traps = TRAPS.replace("  pc <- 0xF2\n", "  pc <- 0xF2\n  mask <- 1\n  m <- 1\n")
    modes = MODES + 'invariant "masked in user mode" m == 0 or mask == 0\n'
    found = judge(toy({"MOVE": "g[r] <- g[q]"}, traps=traps, modes=modes)).invariants
    assert [(i.verdict, i.instruction) for i in found] == [("refuted", "delivery of wrong")]


# ---- traps ---------------------------------------------------------------------------------------


IMPRECISE = TRAPS.replace("trap refused privileged nullify", "trap refused privileged terminate")


@pytest.mark.parametrize(("body", "imprecise"), [
    ("g[r] <- g[r] + 1\nprivileged", True),
    ("privileged\ng[r] <- g[r] + 1", False),
    ("g[r] <- g[r]\nprivileged", False),
])
def test_effects_before_a_trap_that_keeps_them(body: str, imprecise: bool) -> None:
    report = judge(toy({"STEP": body}, traps=IMPRECISE))
    assert report.theorems["T1"].because == (["STEP"] if imprecise else [])
    assert report.theorems["T3"].because == (["STEP"] if imprecise else [])
    assert [f.verdict for f in report.memory_system] == ["refuted" if imprecise else "proved"]
    assert profile(report).broken == (["STEP"] if imprecise else [])


def test_effects_before_a_trap_that_undoes_them() -> None:
    report = judge(toy({"STEP": "g[r] <- g[r] + 1\nprivileged"}))
    assert report.theorems["T1"].verdict == "proved"


DELIVERED = monitor("memory, privileged, program")


@pytest.mark.parametrize(("body", "broken"), [
    ("trap request(n)", []),
    ("trap request(mask)", ["CALL"]),
    ("g[r] <- base\ntrap request(n)", ["CALL"]),
    ("trap request(n) when mask == 0", ["CALL"]),
])
def test_traps_the_machine_delivers_to_the_guest(body: str, broken: list[str]) -> None:
    """They do not reach the monitor, so both machines have to take them alike, with the same effects kept."""
    assert profile(judge(toy({"CALL": body}, profile=DELIVERED))).broken == broken


@pytest.mark.parametrize(("line", "broken"), [
    ("  g[3] <- zext(n, 8)", []),
    ("  g[3] <- zext(mask, 8)", ["delivery of request"]),
    ("  flag <- 0", ["delivery of request"]),
    ("  m <- 0", []),  # supervisor mode is where the monitor is
])
def test_deliveries_have_squares_of_their_own(line: str, broken: list[str]) -> None:
    traps = TRAPS.replace("  g[3] <- zext(n, 8)", line)
    assert profile(judge(toy({"CALL": "trap request(n)"}, traps=traps, profile=DELIVERED))).broken == broken
    assert profile(judge(toy({"CALL": "trap request(n)"}, traps=traps))).broken == [], "the monitor catches it"


# ---- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "theorem2"), [
    ("g[r] <- clock", "proved"),
    ("trap wrong when clock > 9", "refuted"),
    ("clock <- g[r]", "proved"),
])
def test_timing_dependence(body: str, theorem2: str) -> None:
    """Reading the time is harmless; a trap, or a change of what the monitor owns, that depends on it is not (Theorem 2)."""
    report = judge(toy({"TIMED": body}))
    assert (report.theorems["T1"].verdict, report.theorems["T2"].verdict) == ("proved", theorem2)


def test_identity_of_the_host_breaks_the_square_only() -> None:
    """Equivalence does not count identity, but a monitor that lets the host's show through has to say so."""
    report = judge(toy({"ID_OUT": ROWS["ID_OUT"].body}, profile=monitor(id=": host")))
    assert report.theorems["T1"].verdict == "proved"
    assert profile(report).broken == ["ID_OUT"]


def test_memory_faults_are_set_aside() -> None:
    """A guest that would have faulted and does not is no witness in section 3, so Theorem 1 does not see it. The square does."""
    report = judge(toy({"FAULTS_LESS": "trap fault when mask == 0\ng[r] <- 1"}))
    assert report.theorems["T1"].verdict == "proved"
    assert find(report, "FAULTS_LESS").sensitive == []
    assert profile(report).broken == ["FAULTS_LESS"]


MOVABLE = "space table : bits(8) -> byte at base onto storage\n"


@pytest.mark.parametrize(("body", "broken"), [
    ("let a = table(g[q], 8)\nbase <- g[0]\ng[r] <- zext(mask, 8) when a != table(g[q], 8)", True),
    ("table(g[q], 8) <- 1\nbase <- g[0]\ntable(g[q], 8) <- 2\ng[r] <- zext(mask, 8) when table(g[q], 8) != 2", False),
    ("base <- g[0] when g[1] == 0\nlet a = table(g[q], 8)\ng[r] <- zext(mask, 8) when g[1] != 0 and a != table(g[q], 8)", False),
])
def test_a_table_that_moves_may_hold_anything(body: str, broken: bool) -> None:
    """Before and after it is moved it need not hold the same; and what is stored in it is found there."""
    report = judge(toy({"MOVES": body}, more=MOVABLE, profile=monitor(base=": guest")))
    assert profile(report).broken == (["MOVES"] if broken else [])
    assert profile(report).unknown == []
    assert find(report, "MOVES").sensitive == (["resource"] if broken else [])


# ---- tables the processor reaches through a register ---------------------------------------------


TABLE = STATE.replace("  clock", "  at_   : bits(8)     relocation\n  clock") + "space table : bits(8) -> byte at at_ onto storage\n"
TABLES = {
    "USE": "g[r] <- table(zext(n, 8), 8)",
    "PUT": "table(zext(n, 8), 8) <- g[r]",
    "WHERE": "g[r] <- at_",
    "MOVE_TABLE": "privileged\nat_ <- g[r]",
}


def test_a_table_is_known_by_its_contents_not_its_place() -> None:
    report = judge(toy(TABLES, state=TABLE, profile=monitor(at_=": host")))
    assert {i.name: i.sensitive for i in report.instructions} == {
        "USE": [], "PUT": [], "WHERE": ["location"], "MOVE_TABLE": ["control"]}
    assert report.theorems["T1"].because == ["WHERE"]
    assert profile(report).broken == ["WHERE"]
    assert any("equal contents: table" in text for text in profile(report).assumptions)


# ---- operand regions -----------------------------------------------------------------------------


def test_regions_are_judged_apart() -> None:
    report = judge(toy({"MIXED": """
        region "mask" when r == 0
        region "register" when r != 0 and q == 0
        region "guarded" when r != 0 and q != 0
        trap refused when m == 1 and r != 0 and q != 0
        if r == 0
          g[q] <- zext(mask, 8)
        else if q == 0
          g[r] <- g[q]
        else
          g[r] <- base
        """}))
    found = find(report, "MIXED")
    assert {f.region: (f.privileged, f.sensitive, f.critical) for f in found.forms} == {
        "mask": ("refuted", ["resource"], True),
        "register": ("refuted", [], False),
        "guarded": ("proved", ["location"], False),
    }
    assert found.critical is True
    assert found.privileged == "refuted"
    assert found.witness is not None
    assert found.witness.region == "mask"


# ---- what hardware swaps at entry and exit -----------------------------------------------------------


def duplicated(line: str = "") -> Monitor:
    """The assisted profile of the teaching machine, with one line taken out of its description."""
    text = bundled()["teaching/duplicated"].read_text(encoding="utf-8")
    assert not line or text.count(f"\n  {line}\n") == 1
    return profile(judge(text.replace(f"\n  {line}\n", "\n") if line else text), "assisted")


def test_swaps_are_proved() -> None:
    assert duplicated().verdict == "proved"


@pytest.mark.parametrize(("line", "culprit", "lost"), [
    ("mask <- vm.mask", "START", "mask"),
    ("psw.m <- vm.m", "START", "psw.m"),
    ("vm.mask <- mask", "delivery of guest_exit", "mask"),
    ("vm.m <- psw.m", "delivery of guest_exit", "psw.m"),
])
def test_a_swap_left_out_is_found_where_it_is_missing(line: str, culprit: str, lost: str) -> None:
    found = duplicated(line)
    assert found.verdict == "refuted"
    assert culprit in found.broken
    assert any(lost in b.reason for b in found.breaks if b.instruction == culprit)
    # The component is now the host's while the guest runs, so whatever reads or writes it is broken as well.
    users = {"psw.m": "RM", "mask": "SIM"}
    assert users[lost] in found.broken


def test_every_way_out_has_to_save() -> None:
    """The teaching machine leaves the guest by its other traps, too; here they forget the mask."""
    text = bundled()["teaching/duplicated"].read_text(encoding="utf-8")
    saved = "vm.m <- psw.m", "vm.p <- psw.p", "vm.base <- psw.base", "vm.bound <- psw.bound"
    forgetful = "".join(f"    {line}\n" for line in (*saved, "guest <- 0", "psw <- host.psw", "mask <- host.mask"))
    found = profile(judge(text.replace("    leave_guest(cause ++ number)\n", forgetful)), "assisted")
    assert "delivery of privileged_instruction" in found.broken


def test_what_is_not_the_guests_needs_no_swap() -> None:
    assert duplicated("vm.p <- psw.p").verdict == "proved", "the profile does not claim the counter to be swapped"


# ---- maps of the guest's state -------------------------------------------------------------------------


def test_a_map_has_to_hold_afterwards() -> None:
    """What is mapped from a component of the guest's is stale when that changes alone, and the next instruction would see it."""
    report = judge(toy({
        "SET": "mask <- n",
        "TRAPS": "privileged\nmask <- n",
        "SAME": "mask <- mask & 0xE | zext(mask[0], 4)",
        "OTHER": "g[r] <- 3",
    }, profile=monitor(mask=": guest", flag="-> mask[0]")))
    squares = {name: find(report, name).forms[0].squares["vmm"] for name in ("SET", "TRAPS", "SAME", "OTHER")}
    assert squares == {"SET": "refuted", "TRAPS": "proved", "SAME": "proved", "OTHER": "proved"}
    (found,) = profile(report, "vmm").breaks
    assert (found.instruction, found.clause) == ("SET", "effect")
    assert found.reason == "SET leaves another flag on the real machine than on the virtual one, and no trap tells the monitor"
    assert found.witness is not None
    assert found.witness.confirmed
