"""What the language means: small descriptions, carried out on the plain machine."""

from __future__ import annotations

import pytest

from isa_specs.core import Isa
from isa_specs.diagnostics import SpecError
from isa_specs.load import loads
from machine.outcomes import Next, Trapped
from machine.plain import Machine
from machine.state import State

MACHINE = """isa small "A small machine"
bits {bits}
bytes {bytes}
{before}

state
  pc  : bits(16)    counter
  out : bits(64)    data
  a   : bits(32)    data
  b   : bits(32)    data
  c   : bits(8)     data
  user : bit        mode
  gpr : bits(16)[4] data
{state}

space mem : bits(16) -> byte data
space key : bits(4) -> bits(7) data
{space}

fetch (p : bits(16))
  return mem(p, 8)

trap refused program nullify "refused"
  pc <- 0
trap kept(n : bits(8)) call complete "kept"
  c <- n

illegal refused
mode supervisor when user == 0
mode user when user == 1
format F = op:8 n:8
{rest}

instruction T F 0x00
{body}
"""
A, B = 0x12345678, 0xFFFF_FFF0


def described(body: str, bits: str = "lsb0", bytes: str = "little", **parts: str) -> Isa:
    lines = "\n".join("  " + line for line in body.split("\n"))
    text = {name: parts.get(name, "") for name in ("before", "state", "space", "rest")}
    return loads(MACHINE.format(bits=bits, bytes=bytes, body=lines, **text))


def run(body: str, *, expect: type = Next, n: int = 0, set_: dict[str, int] | None = None, **parts: str) -> State:
    """The state after an instruction with this body."""
    isa = described(body, **parts)
    state = State(isa)
    state["a"], state["b"], state["c"] = A, B, 0x80
    for name, value in (set_ or {}).items():
        state[name] = value
    outcome = Machine(isa).execute(isa.forms[0], {"n": n}, 2, state)
    assert isinstance(outcome, expect)
    return state


def value(expression: str, width: int = 32, **parts: str) -> int:
    """The value of an expression of this width."""
    whole = expression if width == 64 else f"zext({expression}, 64)"
    return int(run(f"out <- {whole}", **parts)["out"])


# ---- expressions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + 1", A + 1),
        ("b + 0x20", 0x10),  # modular
        ("a - a - 1", 0xFFFF_FFFF),
        ("a * 0x10", 0x2345_6780),
        ("a / 16", A >> 4),
        ("a % 16", A & 15),
        ("a / 0", 0xFFFF_FFFF),  # SMT-LIB
        ("a % 0", A),
        ("b /s 4", 0xFFFF_FFFC),
        ("b /s 3", 0xFFFF_FFFB),  # toward zero
        ("b %s 3", 0xFFFF_FFFF),
        ("b /s 0", 1),
        ("a | 0xFF", A | 0xFF),
        ("a ^ a", 0),
        ("a & 0xFF", 0x78),
        ("a & 0xFF | 0x100 ^ 0x100", 0x78),  # & before ^ before |
        ("~a", A ^ 0xFFFF_FFFF),
        ("-a", (1 << 32) - A),
        ("a << 4", 0x2345_6780),
        ("a << 32", 0),
        ("a >> 40", 0),
        ("b >>s 4", 0xFFFF_FFFF),
        ("b >>s 100", 0xFFFF_FFFF),
        ("b >> 28", 15),
        ("a << c[7]", A << 1),
        ("a >> c", 0),  # 0x80 places
        ("if a == 0 then 1 else b", B),
        ("if width(a) == 32 then 7 else undefined", 7),
        ("min(a, b)", A),
        ("max(a, 5)", A),
        ("sext(c, 32)", 0xFFFF_FF80),
        ("zext(c, 32)", 0x80),
        ("zext(low(a, 4), 32)", 8),
        ("2'1 ++ 30'5", 0x4000_0005),
        ("1 + 2 * a", 1 + 2 * A),
        ("(1 + 2) * a", 3 * A),
        ("a + (0 - 1)", A - 1),
        ("0b1010_1010 + (a & 0)", 0xAA),
        ("16'0xFF ++ 16'255", 0xFF_00FF),
    ],
)
def test_words(expression: str, expected: int) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a == 0x12345678", 1), ("a != b", 1), ("a < b", 1), ("a <s b", 0), ("b <=s a", 1), ("b >=s a", 0), ("a >= a", 1), ("a > a", 0),
        ("b >s 0", 0), ("a in {1, 0x12345678}", 1), ("a in {1, 2}", 0), ("not a == b and a < b", 1), ("a == b or c == 0x80", 1),
        ("a == b and c == 0x80 or user == 0", 1),
        ("parity(c)", 0), ("parity(a)", 0), ("parity(b)", 1), ("parity(zext(c, 300))", 0), ("c[7]", 1),
    ],
)
def test_bits(expression: str, expected: int) -> None:
    assert value(expression, 1) == expected


@pytest.mark.parametrize(
    ("expression", "width", "lsb0", "msb0"),
    [
        ("a[31]", 1, 0, 0), ("a[3]", 1, 1, 1), ("c[0]", 1, 0, 1), ("c[7]", 1, 1, 0), ("a[31:24]", 8, 0x12, None), ("a[0:7]", 8, None, 0x12),
        ("a[4:4]", 1, 1, 0), ("a[7:4]", 4, 7, None), ("a[28:31]", 4, None, 8), ("c[low(a >> 4, 3)]", 1, 1, 0), ("c[a & 0]", 1, 0, 1),
    ],
)
def test_numbering(expression: str, width: int, lsb0: int | None, msb0: int | None) -> None:
    for bits, expected in (("lsb0", lsb0), ("msb0", msb0)):
        if expected is None:
            with pytest.raises(SpecError, match="SP211"):
                value(expression, width, bits=bits)
        else:
            assert value(expression, width, bits=bits) == expected


def test_plain_numbers_have_the_width_of_their_context() -> None:
    parts = {"before": "const big = 0x1_0000, sized : bits(8) = 7, k = 1 << 4 | 3"}
    assert value("a + big", **parts) == A + 0x10000
    assert value("zext(sized, 32) + k", **parts) == 7 + 19
    with pytest.raises(SpecError, match="SP208"):
        value("c + big", 8, **parts)


# ---- assignment -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "statement", "expected"),
    [
        ("lsb0", "a[7:0] <- 0xFF", 0x123456FF),
        ("msb0", "a[0:7] <- 0xFF", 0xFF345678),
        ("lsb0", "a[0] <- 1", A | 1),
        ("msb0", "a[0] <- 1", A | 1 << 31),
        ("lsb0", "a[c[7:3]] <- 1", A | 1 << 16),
        ("msb0", "a[c[0:4]] <- 1", A | 1 << 15),
        ("lsb0", "a <- b when c == 0", A),
        ("lsb0", "a <- b when c == 0x80", B),
    ],
)
def test_parts_of_a_component(bits: str, statement: str, expected: int) -> None:
    assert run(statement, bits=bits)["a"] == expected


def test_elements_cells_and_items() -> None:
    body = "gpr[2] <- 0xABCD\nkey(5) <- 0x7F\nmem(0x10, 24) <- 0x112233\ngpr[1][3:0] <- 9\nmem(0xFFFF, 16) <- 0x4455"
    for order, expected in (("little", [0x33, 0x22, 0x11]), ("big", [0x11, 0x22, 0x33])):
        state = run(body, bytes=order)
        assert state["gpr"] == [0, 9, 0xABCD, 0]
        assert state["key"][5] == 0x7F
        assert [state["mem"][0x10 + i] for i in range(3)] == expected
        assert {state["mem"][0xFFFF], state["mem"][0]} == {0x44, 0x55}  # addresses wrap


def test_effects_are_seen_by_what_follows() -> None:
    state = run("a <- b\nlet old = a\na <- 1\nb <- a + old")
    assert (state["a"], state["b"]) == (1, (B + 1) & 0xFFFF_FFFF)


def test_variables() -> None:
    body = "var n : bits(8) = 3\nn <- n * n\nn[7] <- 1\nlet n = zext(n, 64)\nout <- n\nif c == 0\n  let n = 5\nelse\n  out <- out + n"
    assert run(body)["out"] == 2 * 0x89


# ---- layouts, words, records, files ---------------------------------------------------------------------

WORD = """  psw : bits(16) data
    key  15:12
    cc   3, 8
    mode 0 mode"""
LAYOUT = "layout descriptor : bits(32)\n  base 31:24, 15:0\n  dpl  22:21\n"


def test_layouts() -> None:
    state = run("let d : descriptor = a\nout <- zext(d.base ++ d.dpl, 64)", before=LAYOUT)
    assert state["out"] == (0x12_5678 << 2) | (A >> 21 & 3)
    state = run("var d : descriptor = a\nd.base <- 0xAABBCC\nd.dpl <- 2\na <- d", before=LAYOUT)
    assert state["a"] == 0xAA54BBCC


def test_words_made_of_fields() -> None:
    state = run("psw.key <- 9\npsw.cc <- 0b10\nout <- zext(psw, 64)", state=WORD)
    assert (state["psw.key"], state["psw.cc"], state["out"]) == (9, 2, 0x9008)
    state = run("psw <- 0xFFFF\nout <- zext(psw, 64)", state=WORD)
    assert (state["out"], state["psw"]) == (0xF109, 0xF109)  # unnamed bits read as zero
    state = run("psw <- psw + 1\npsw.key[3] <- 1", state=WORD)
    assert (state["psw.mode"], state["psw.key"]) == (1, 8)


RECORDS = """record segment
  base : bits(16) data
  rpl  : bits(2)  mode
"""
SEGMENTS = "  cs : segment\n  ss : segment\n    rpl data\nfile sreg = cs _ ss _"


def test_records_and_files() -> None:
    body = "cs.base <- 0x1111\nsreg[2].base <- 0x2222\nsreg[c[7:6]].rpl <- 3\nsreg[1].base <- 9\n"
    body += "out <- zext(sreg[0].base ++ sreg[2].base, 64)"
    isa = described(body, before=RECORDS, state=SEGMENTS)
    assert (isa.cells["cs.rpl"].role.name, isa.cells["ss.rpl"].role.name) == ("mode", "data")
    state = run(body, before=RECORDS, state=SEGMENTS)
    assert (state["out"], state["ss.rpl"], state["cs.rpl"]) == (0x1111_2222, 3, 0)
    hole = run("out <- zext(sreg[c[7:6] + 1].base, 64)", before=RECORDS, state=SEGMENTS, set_={"ss.base": 7, "cs.base": 8})
    assert hole["out"] == 0


# ---- functions ------------------------------------------------------------------------------------------

FUNCTIONS = """
function half(x : bits(w)) -> bits(w / 2)
  return low(x, w / 2)

function sign(x : bits(w)) -> bit
  if w == 8
    return x[7]
  else if w == 32
    return x[31]
  return 0

function classify(x : bits(8)) -> bits(8)
  if x == 0
    return 10
  else if x < 5
    let y = x + 1
    return y
  var z = x
  z <- z * 2 when x == 5
  if x > 200
    z <- 0
  else
    return z
  return 99

accessor reg(n : bits(2), w) -> bits(w)
  get
    return low(gpr[n], w)
  set v
    gpr[n] <- zext(v, 16)

procedure guard
  trap refused when user == 1

function effect() -> bits(8)
  c <- c + 1
  return c
"""


@pytest.mark.parametrize(
    ("expression", "width", "expected"),
    [
        ("half(a)", 16, 0x5678), ("half(c)", 4, 0), ("sign(c)", 1, 1), ("sign(a)", 1, 0), ("sign(b)", 1, 1), ("sign(gpr[0])", 1, 0),
        ("classify(0)", 8, 10), ("classify(4)", 8, 5), ("classify(5)", 8, 10), ("classify(6)", 8, 6), ("classify(201)", 8, 99),
        ("effect() ++ effect()", 16, 0x8182), ("reg(1, 8)", 8, 0xCD), ("effect() + (if effect() == 0 then effect() else 0)", 8, 0x81),
    ],
)
def test_functions(expression: str, width: int, expected: int) -> None:
    state = run(f"gpr[1] <- 0xABCD\nout <- zext({expression}, 64)", rest=FUNCTIONS)
    assert state["out"] == expected


def test_accessors_and_procedures() -> None:
    assert run("reg(2, 8) <- c\nreg(3, 16) <- 7", rest=FUNCTIONS)["gpr"] == [0, 0, 0x80, 7]
    assert run("guard\na <- 1", rest=FUNCTIONS)["a"] == 1
    state = run("a <- 1\nguard", rest=FUNCTIONS, set_={"user": 1}, expect=Trapped)
    assert (state["a"], state["pc"]) == (A, 0)
    assert run("guard when c == 0", rest=FUNCTIONS, set_={"user": 1})["pc"] == 2


def test_instances_differ_by_width_only() -> None:
    isa = described("out <- zext(sign(a) ++ sign(b) ++ sign(c), 64)", rest=FUNCTIONS)
    assert sorted(name for name in isa.functions if name.startswith("sign")) == ["sign_32", "sign_8"]


def test_branches_that_a_width_excludes_need_not_fit() -> None:
    low_byte = """function low_byte(x : bits(w)) -> bits(8)
  if w == 8
    return x
  else
    return x[7:0]
"""
    assert value("low_byte(c) ++ low_byte(a)", rest=low_byte) == 0x8078


# ---- control --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "expected"), [(0, 1), (3, 2), (4, 2), (9, 3), (200, 4)])
def test_match(n: int, expected: int) -> None:
    body = "match n\n  is 0\n    out <- 1\n  is 3, 4\n    out <- 2\n  is 9\n    out <- 3\n  else\n    out <- 4"
    assert run(body, n=n)["out"] == expected


def test_loops() -> None:
    assert run("for i in 0 .. 9\n  out <- out + zext(i, 64)")["out"] == 45
    assert run("for i in 5 .. 4\n  out <- 1")["out"] == 0
    assert run("for i in 1 .. 9 while i < 4\n  out <- out + zext(i, 64)")["out"] == 6
    assert run("for i in 0 .. 3\n  gpr[low(i, 2)] <- zext(i, 16) + 1")["gpr"] == [1, 2, 3, 4]
    body = "for i in 0 .. 3\n  for j in 0 .. 3 while j < i\n    out <- out + 1"
    assert run(body)["out"] == 6


def test_what_follows_an_early_return_in_an_instruction() -> None:
    body = "if n == 0\n  out <- 1\n  return\nelse if n == 1\n  return\nout <- out + 2"
    assert [run(body, n=n)["out"] for n in (0, 1, 2)] == [1, 0, 2]


def test_traps_and_endings() -> None:
    body = "out <- 5\ntrap kept(n) when n != 0\nout <- 6\ntrap refused when c == 0x80"
    assert run(body, n=7, expect=Trapped)["out"] == 5
    state = run(body, n=0, expect=Trapped)
    assert (state["out"], state["pc"]) == (0, 0)


def test_counter() -> None:
    assert run("out <- zext(next, 64)")["pc"] == 2
    assert run("pc <- pc + 8\nout <- zext(next, 64) + zext(pc, 64)", set_={"pc": 100})["pc"] == 108
    assert run("out <- zext(ilen, 64)")["out"] == 2


# ---- families, variants, extensions ---------------------------------------------------------------------


def test_families() -> None:
    family = """
for NAME, code, how in [(ADD, 1, plus), (SUB, 2, minus)]
  for W, w in [(B, 8), (L, 32)]
    instruction NAME "{NAME}{W} {w}" F code, n=w "{NAME}{W}"
      out <- zext(how(low(a, w), low(b, w)), 64)

function plus(x : bits(w), y : bits(w)) -> bits(w)
  return x + y
function minus(x : bits(w), y : bits(w)) -> bits(w)
  return x - y
"""
    isa = described("return", rest=family)
    assert [(f.instruction, f.title, f.template) for f in isa.forms[:-1]] == [
        ("ADD", "ADDB 8", "ADDB"), ("ADD", "ADDL 32", "ADDL"), ("SUB", "SUBB 8", "SUBB"), ("SUB", "SUBL 32", "SUBL")]


EXTENDED = 'isa more "More" extends third_generation\n'


def test_patches_stand_before_and_after() -> None:
    text = EXTENDED + "before [L, ST,\n  HALT]\n  gpr[0] <- 1\nafter privileged in HALT\n  gpr[1] <- 2\n"
    isa = loads(text)
    forms = {form.instruction: form for form in isa.forms}
    assert len(forms["L"].body) == len(loads(EXTENDED).forms[0].body) + 1
    kinds = [type(statement).__name__ for statement in forms["HALT"].body]
    assert kinds == ["WriteElement", "Call", "WriteElement", "Write", "Write"]


def test_an_extension_replaces_expectations() -> None:
    text = EXTENDED + "before L\n  expect critical\nmonitor trap_and_emulate\n  expect refuted\nexpect theorem1 refuted\n"
    isa, base = loads(text), loads(EXTENDED)
    assert [f.expects for f in isa.forms if f.instruction == "L"] == [[("critical",)]]
    assert [f.expects for f in isa.forms if f.instruction == "ST"] == [[("innocuous",)]]
    assert isa.monitors["trap_and_emulate"].expects == [("refuted",)]
    assert base.monitors["trap_and_emulate"].expects == [("proved",)]
    assert sorted(isa.expects) == [("theorem1", "refuted"), ("theorem2", "proved"), ("theorem3", "proved")]


def test_an_override_replaces_instructions_and_functions() -> None:
    text = EXTENDED + 'override instruction L "Load nothing" RX 0x10\n  gpr[r1] <- 0\noverride function address() -> bits(16)\n  return d\n'
    isa = loads(text)
    assert [f.title for f in isa.forms if f.instruction == "L"] == ["Load nothing"]
    assert sum(f.instruction == "ST" for f in isa.forms) == 1


def test_a_late_guard_is_a_warning() -> None:
    guarded, late = "trap refused when user == 1\na <- 1", "a <- 1\ntrap refused when user == 1"
    assert described(guarded).warnings == []
    assert [w.code for w in described(late).warnings] == ["SP310"]
    assert described("a <- 1\ntrap kept(1)").warnings == []  # keeps what was done


def test_a_section_of_the_manual_is_cited_by_what_stands_behind_it() -> None:
    rest = 'section "chapter 1"\ninstruction U "Unload" F 0x01\n  a <- 1\ninstruction V F 0x02 cites "page 7"\n  a <- 2'
    assert [form.cites for form in described("a <- 1", rest=rest).forms] == ["chapter 1: Unload", "page 7", "chapter 1"]
    assert {form.cites for form in loads(EXTENDED).forms if form.instruction == "L"} == {""}
