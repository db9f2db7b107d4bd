"""The plain machine on hand-built core forms whose results are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isa_specs.core import (
    DATA,
    Apply,
    Array,
    Call,
    CallExtern,
    CallFunction,
    Cell,
    Choice,
    Concat,
    Const,
    Execute,
    Expr,
    Extend,
    Extract,
    Field,
    FixedEncoding,
    Form,
    Format,
    Function,
    If,
    Isa,
    Load,
    Local,
    Loop,
    Mark,
    Raise,
    Read,
    ReadElement,
    Register,
    Return,
    Role,
    SetLocal,
    Space,
    Stmt,
    Store,
    Trap,
    Undefined,
    Write,
    WriteElement,
)
from isa_specs.diagnostics import NOWHERE
from isa_specs.ops import OPERATORS
from machine.errors import MachineError
from machine.outcomes import Executes, Next, Trapped
from machine.plain import Machine
from machine.state import Memory, Recorder, State, reset

W = NOWHERE


def c(value: int, width: int = 8) -> Const:
    return Const(width, value)


def op(name: str, *args: Expr) -> Apply:
    return Apply(OPERATORS[name], args)


def form(*body: Stmt, name: str = "TEST", length: int = 2) -> Form:
    encoding = FixedEncoding(Format("F", (("op", 8 * length),)), (("op", 0),))
    return Form(name, "", "", encoding, {}, {}, None, list(body), [], "", W)


class Toy:
    """A little machine with one of everything."""

    def __init__(self, order: str = "big") -> None:
        self.pc = Cell("pc", 16, Role("counter"))
        self.a = Cell("a", 8, DATA)
        self.b = Cell("b", 8, DATA)
        self.wide = Cell("wide", 32, DATA)
        self.base = Cell("base", 16, Role("relocation"))
        self.limit = Cell("limit", 16, Role("relocation"))
        self.mode = Cell("mode", 1, Role("mode"))
        self.gpr = Array("gpr", 8, 4, DATA)
        self.storage = Space("storage", 16, 8, DATA)
        self.keys = Space("keys", 4, 7, Role("resource", "protection"))
        self.stop = Trap("stop", (), "program", "nullify", "", None)
        self.isa = Isa("toy", "Toy", "", "lsb0", order, [], self.pc)
        outside = self.trap("outside", "program", "nullify", params=(("address", 16),))
        address, access = Local("address", 16), Local("access", 2)
        self.calls: list[tuple[int, int]] = []
        translation = Function("window", (("address", 16), ("access", 2)), 16, [
            If(op("ult", address, Read(self.limit)), [], [Raise(outside, (address,), W)], W),
            # the log of calls: the address of the last one, and how many there were
            Write(self.wide, Concat((address, Extend(access, 8, False), op("add", Extract(Read(self.wide), 7, 0), c(1)))), W),
            Return(op("add", address, Read(self.base)), W)], False)
        self.paged = Space("paged", 16, 8, DATA, translation=translation, onto=self.storage, granule=4)
        self.bytewise = Space("bytewise", 16, 8, DATA, translation=translation, onto=self.storage, granule=0)
        self.table = Space("table", 16, 8, DATA, onto=self.storage, base=self.base)
        self.table_in_window = Space("table_in_window", 16, 8, DATA, onto=self.paged, base=self.base)
        for cell in (self.pc, self.a, self.b, self.wide, self.base, self.limit, self.mode):
            self.isa.cells[cell.name] = cell
        self.isa.arrays["gpr"] = self.gpr
        for space in (self.storage, self.keys, self.paged, self.bytewise, self.table, self.table_in_window):
            self.isa.spaces[space.name] = space
        self.isa.registers["flags"] = Register("flags", 8, ((self.mode, ((0, 0, 7),)), (self.a, ((7, 4, 0),))))
        self.machine = Machine(self.isa)

    def trap(self, name: str, kind: str, ending: str, *delivery: Stmt, params: tuple[tuple[str, int], ...] = ()) -> Trap:
        function = Function(name, params, None, list(delivery)) if delivery else None
        self.isa.traps[name] = Trap(name, params, kind, ending, "", function)
        return self.isa.traps[name]

    def run(self, *body: Stmt, state: State | None = None, **fields: int) -> tuple[object, State]:
        state = state or reset(self.isa)
        state.cells["pc"] = state.cells["pc"] or 0x100
        return self.machine.execute(form(*body), fields, 2, state), state

    def value(self, expr: Expr, **fields: int) -> int:
        return self.machine.evaluate(expr, reset(self.isa), fields)


@pytest.fixture
def toy() -> Toy:
    return Toy()


# ---- state ------------------------------------------------------------------------


def test_state_by_name(toy: Toy) -> None:
    state = reset(toy.isa)
    state["gpr"] = [1, 2, 3, 4]
    state["flags"] = 0x8A
    assert (state["gpr"], state["mode"], state["a"], state["flags"]) == ([1, 2, 3, 4], 1, 0xA0, 0x8A)
    assert state["storage"] == Memory()
    with pytest.raises(MachineError, match="does not fit"):
        state["a"] = 256
    with pytest.raises(MachineError, match="no component"):
        state["nothing"] = 1


def test_copies_are_equal_and_independent(toy: Toy) -> None:
    state = reset(toy.isa)
    state.memory["storage"].load(4, b"\x01\x00")
    twin = state.copy()
    assert twin == state
    twin.memory["storage"][4] = 0
    assert twin == reset(toy.isa) != state  # an address that holds the fill is as good as absent
    twin.memory["storage"].fill = 9
    assert twin.memory["storage"][77] == 9
    assert twin != state


# ---- expressions --------------------------------------------------------------------


def test_expressions(toy: Toy) -> None:
    assert toy.value(op("add", c(200), c(100))) == 44
    assert toy.value(op("slt", c(0x80), c(1))) == 1
    assert toy.value(Extract(c(0xA5), 7, 4)) == 0xA
    assert toy.value(Extend(c(0x80), 16, True)) == 0xFF80
    assert toy.value(Extend(c(0x80), 16, False)) == 0x80
    assert toy.value(Concat((c(1, 4), c(0x23), c(1, 1)))) == 0x123 << 1 | 1
    assert toy.value(Field("r1", 2), r1=3) == 3
    assert toy.value(CallExtern("isqrt", (c(99),), 8)) == 9


def test_a_choice_evaluates_only_the_chosen_branch(toy: Toy) -> None:
    trapping = CallFunction(Function("f", (), 8, [Raise(toy.stop, (), W)]), ())
    assert toy.value(Choice(c(1, 1), c(7), trapping)) == 7
    with pytest.raises(MachineError, match="traps: stop"):
        toy.value(op("and", c(0), trapping))


def test_operands_are_evaluated_from_left_to_right(toy: Toy) -> None:
    double = Function("double", (), 8, [Write(toy.a, op("add", Read(toy.a), c(1)), W), Return(Read(toy.a), W)])
    outcome, state = toy.run(Write(toy.b, op("sub", CallFunction(double, ()), CallFunction(double, ())), W))
    assert outcome == Next()
    assert (state["a"], state["b"]) == (2, 0xFF)


def test_undefined_values_come_from_the_oracle(toy: Toy) -> None:
    assert toy.value(Undefined(8)) == 0
    assert Machine(toy.isa, oracle=lambda width: (1 << width) + 5).evaluate(Undefined(8), reset(toy.isa)) == 5


def test_unknown_names_are_clear_errors(toy: Toy) -> None:
    with pytest.raises(MachineError, match="extern function 'nosuch'"):
        toy.value(CallExtern("nosuch", (), 8))
    with pytest.raises(MachineError, match="field 'r9'"):
        toy.value(Field("r9", 4))


def test_evaluation_leaves_the_state_alone(toy: Toy) -> None:
    state = reset(toy.isa)
    count = Function("count", (), 8, [Write(toy.a, c(9), W), Return(Read(toy.a), W)])
    assert toy.machine.evaluate(CallFunction(count, ()), state) == 9
    assert state == reset(toy.isa)


# ---- statements ---------------------------------------------------------------------


def test_locals_belong_to_one_activation(toy: Toy) -> None:
    inner = Function("inner", (("x", 8),), 8, [SetLocal("y", op("add", Local("x", 8), c(1)), W), Return(Local("y", 8), W)])
    body = [SetLocal("y", c(1), W), SetLocal("z", CallFunction(inner, (c(10),)), W), Write(toy.a, Local("y", 8), W),
            Write(toy.b, Local("z", 8), W)]
    _, state = toy.run(*body)
    assert (state["a"], state["b"]) == (1, 11)


def test_a_loop_stops_before_the_first_index_whose_condition_fails(toy: Toy) -> None:
    i = Local("i", 2)
    _, state = toy.run(Loop("i", 2, 0, 3, op("ult", i, c(2, 2)), [WriteElement(toy.gpr, i, c(5), W)], W))
    assert state["gpr"] == [5, 5, 0, 0]
    _, state = toy.run(Loop("i", 2, 1, 3, None, [WriteElement(toy.gpr, i, Extend(i, 8, False), W)], W))
    assert state["gpr"] == [0, 1, 2, 3]


def test_an_early_return_skips_the_rest(toy: Toy) -> None:
    body: list[Stmt] = [If(Read(toy.mode), [Return(None, W)], [], W), Write(toy.a, c(1), W)]
    procedure = Function("p", (), None, body)
    state = reset(toy.isa)
    state["mode"] = 1
    _, state = toy.run(Call(procedure, (), W), Write(toy.b, c(2), W), state=state)
    assert (state["a"], state["b"]) == (0, 2)


def test_a_region_mark_does_nothing(toy: Toy) -> None:
    outcome, state = toy.run(Mark("gate", Field("nosuch", 1), W))
    assert outcome == Next()
    assert state["pc"] == 0x102


# ---- the counter --------------------------------------------------------------------


def test_the_counter_is_this_address_until_assigned(toy: Toy) -> None:
    _, state = toy.run(Write(toy.base, Read(toy.pc), W), Write(toy.pc, c(0x300, 16), W), Write(toy.limit, Read(toy.pc), W))
    assert (state["base"], state["limit"], state["pc"]) == (0x100, 0x300, 0x300)


def test_next_and_ilen_wrap_with_the_counter(toy: Toy) -> None:
    state = reset(toy.isa)
    state["pc"] = 0xFFFF
    _, state = toy.run(Write(toy.base, Field("next", 16), W), Write(toy.a, Extend(Field("ilen", 4), 8, False), W), state=state)
    assert (state["base"], state["a"], state["pc"]) == (1, 2, 1)


def test_assigning_the_counter_its_own_address_is_a_jump(toy: Toy) -> None:
    _, state = toy.run(Write(toy.pc, Read(toy.pc), W))
    assert state["pc"] == 0x100


# ---- storage ------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "stored"), [("big", [0x12, 0x34]), ("little", [0x34, 0x12])])
def test_byte_order_and_wrapping(order: str, stored: list[int]) -> None:
    toy = Toy(order)
    _, state = toy.run(Store(toy.storage, c(0xFFFF, 16), c(0x1234, 16), W))
    assert [state.memory["storage"][0xFFFF], state.memory["storage"][0]] == stored
    assert toy.machine.evaluate(Load(toy.storage, c(0xFFFF, 16), 16), state) == 0x1234


def test_a_space_that_is_not_of_bytes_has_one_cell_per_address(toy: Toy) -> None:
    _, state = toy.run(Store(toy.keys, c(3, 4), c(0x55, 7), W))
    assert state.memory["keys"] == Memory([(3, 0x55)])
    assert toy.machine.evaluate(Load(toy.keys, c(3, 4), 7), state) == 0x55


def window(toy: Toy, limit: int = 0x1000, base: int = 0x4000) -> State:
    state = reset(toy.isa)
    state["limit"], state["base"] = limit, base
    return state


def test_a_translation_is_called_once_per_granule(toy: Toy) -> None:
    _, state = toy.run(Store(toy.paged, c(0x24, 16), c(0xAABBCCDD, 32), W), state=window(toy))
    assert state["wide"] == 0x0024_01_01
    assert state.memory["storage"] == Memory([(0x4024, 0xAA), (0x4025, 0xBB), (0x4026, 0xCC), (0x4027, 0xDD)])
    _, state = toy.run(Store(toy.paged, c(0x2E, 16), c(0xAABBCCDD, 32), W), state=window(toy))
    assert state["wide"] == 0x0030_01_02
    _, state = toy.run(Store(toy.bytewise, c(0x2E, 16), c(0xAABBCCDD, 32), W), state=window(toy))
    assert state["wide"] == 0x0031_01_04


def test_both_ends_are_translated_before_anything_is_stored(toy: Toy) -> None:
    toy.isa.traps["outside"].ending = "terminate"
    outcome, state = toy.run(Store(toy.paged, c(0x1E, 16), c(0xAABBCCDD, 32), W), state=window(toy, limit=0x20))
    assert outcome == Trapped(toy.isa.traps["outside"], (0x20,), "memory", 2)
    assert state.memory["storage"] == Memory()


def test_a_trap_of_a_translation_is_of_kind_memory(toy: Toy) -> None:
    outcome, _ = toy.run(Write(toy.a, Load(toy.paged, c(5, 16), 8), W))
    assert isinstance(outcome, Trapped)
    assert outcome.kind == "memory"
    outcome, _ = toy.run(Raise(toy.isa.traps["outside"], (c(1, 16),), W))
    assert isinstance(outcome, Trapped)
    assert outcome.kind == "program"


def test_a_table_starts_at_its_base(toy: Toy) -> None:
    state = window(toy, base=0xFFF0)
    _, state = toy.run(Store(toy.table, c(0x14, 16), c(0xABCD, 16), W), state=state)
    assert state.memory["storage"] == Memory([(4, 0xAB), (5, 0xCD)])
    state = window(toy, base=0x80)
    _, state = toy.run(Store(toy.table_in_window, c(8, 16), c(0xAB), W), state=state)
    assert state.memory["storage"] == Memory([(0x108, 0xAB)])


# ---- traps --------------------------------------------------------------------------

CASES = [
    # ending, assigns the counter first, effects kept, counter
    ("nullify", False, False, 0x100), ("nullify", True, False, 0x100),
    ("suppress", False, False, 0x102), ("suppress", True, False, 0x102),
    ("complete", False, True, 0x102), ("complete", True, True, 0x300),
    ("terminate", False, True, 0x100), ("terminate", True, True, 0x100),
]  # fmt: skip


@pytest.mark.parametrize(("ending", "jumps", "kept", "counter"), CASES)
def test_endings(toy: Toy, ending: str, jumps: bool, kept: bool, counter: int) -> None:
    trap = toy.trap("t", "program", ending)
    body: list[Stmt] = [Write(toy.pc, c(0x300, 16), W)] if jumps else []
    body += [WriteElement(toy.gpr, c(1, 2), c(7), W), Store(toy.storage, c(4, 16), c(9), W), Raise(trap, (), W), Write(toy.b, c(1), W)]
    outcome, state = toy.run(*body)
    assert outcome == Trapped(trap, (), "program", 2)
    assert (state["gpr"][1], state.memory["storage"][4], state["b"], state["pc"]) == (7 * kept, 9 * kept, 0, counter)  # type: ignore[index]


def test_a_delivery_sees_arguments_and_length(toy: Toy) -> None:
    code = Local("code", 8)
    trap = toy.trap("t", "program", "suppress", Write(toy.a, code, W), Write(toy.b, Extend(Field("ilen", 4), 8, False), W),
                    Write(toy.base, Read(toy.pc), W), Write(toy.pc, c(0x20, 16), W), params=(("code", 8),))
    outcome, state = toy.run(Raise(trap, (c(0x42),), W))
    assert isinstance(outcome, Trapped)
    toy.machine.deliver(trap, outcome.args, state, outcome.ilen)
    assert (state["a"], state["b"], state["base"], state["pc"], state.halted) == (0x42, 2, 0x102, 0x20, "")


def test_a_trap_in_a_delivery_halts(toy: Toy) -> None:
    trap = toy.trap("t", "program", "suppress", Write(toy.a, c(1), W), Raise(toy.stop, (), W))
    state = reset(toy.isa)
    toy.machine.deliver(trap, (), state, 2)
    assert (state["a"], state.halted) == (0, "stop in the delivery of t")
    toy.machine.deliver(toy.stop, (), state, 2)
    assert state.halted == "stop has no delivery"


numbers = st.integers(0, 255)


@given(st.lists(st.tuples(st.integers(0, 3), numbers)), st.sampled_from(["nullify", "suppress"]), numbers)
def test_an_undone_trap_leaves_the_state_untouched(writes: list[tuple[int, int]], ending: str, old: int) -> None:
    toy = Toy()
    trap = toy.trap("t", "program", ending)
    state = window(toy)
    state["pc"], state["a"], state["gpr"] = 0x100, old, [old] * 4
    before = state.copy()
    body: list[Stmt] = []
    for where, value in writes:
        body += [WriteElement(toy.gpr, c(where, 2), c(value), W), Store(toy.paged, c(where, 16), c(value), W), Write(toy.a, c(value), W)]
    toy.machine.execute(form(*body, Raise(trap, (), W)), {}, 2, state)
    if ending == "suppress":
        before["pc"] = 0x102
    assert state == before


# ---- recording -----------------------------------------------------------------------


def test_the_recorder_tells_first_reads_from_writes(toy: Toy) -> None:
    recorder = Recorder()
    body = form(Write(toy.a, c(1), W), Write(toy.b, Read(toy.a), W), WriteElement(toy.gpr, c(2, 2), ReadElement(toy.gpr, c(1, 2)), W),
                Store(toy.storage, c(8, 16), Load(toy.storage, c(6, 16), 16), W))
    toy.machine.execute(body, {}, 2, reset(toy.isa), recorder)
    assert recorder.read == {("pc", 0), ("gpr", 1), ("storage", 6), ("storage", 7)}
    assert recorder.written == {("a", 0), ("b", 0), ("gpr", 2), ("storage", 8), ("storage", 9), ("pc", 0)}


def test_what_was_undone_counts_as_read_afterwards(toy: Toy) -> None:
    recorder = Recorder()
    state = reset(toy.isa)
    trap = toy.trap("t", "program", "nullify", Write(toy.b, Read(toy.a), W))
    toy.machine.execute(form(Write(toy.a, c(1), W), Raise(trap, (), W)), {}, 2, state, recorder)
    toy.machine.deliver(trap, (), state, 2, recorder)
    assert recorder.read == {("a", 0)}
    assert recorder.written == {("b", 0)}


def test_execute_names_another_instruction(toy: Toy) -> None:
    outcome, _ = toy.run(Execute(c(0x1234, 16), W))
    assert outcome == Executes(0x1234, 16)
    assert isinstance(outcome, Executes)
    assert [outcome.byte(i) for i in range(3)] == [0x12, 0x34, 0]
