"""The words of a monitor's block, as byte offsets: what generated code knows of one monitor and its guest.

Images hold values of components at the offsets they have in the record. A list of runs has two words for each: where it begins, and
how many words it has.
"""

from __future__ import annotations

(
    M_BELOW,  # the block of the monitor this one stands on; 0 when it stands on the machine
    M_ABOVE,
    M_MODE,  # when the guest runs on the machine below: one of the numbers at the end
    M_KINDS,  # the kinds of traps that are for the monitor, a bit each
    M_PROFILE,  # which of the description's monitors it is
    M_VIRTUAL,  # image: what the guest's machine has in the monitor's components while the guest runs
    M_REAL,  # image: what the real machine has there
    M_GIVEN,  # runs: components whose real value the profile says
    M_GIVEN_COUNT,
    M_HOST,  # runs: the monitor's other cells
    M_HOST_COUNT,
    M_APART,  # runs: components of which both machines have one of their own, whatever becomes of it
    M_APART_COUNT,
    M_POINTERS,  # three words for each word of the record that points elsewhere for either: where, the real value, the guest's
    M_POINTER_COUNT,
    M_EFFECTS,  # a byte for each form: whether it may have changed something by the time it traps
    M_CONDITIONS,  # for each condition how many cells, then for each of them where it is and the value that has to be there
    M_CONDITION_BYTES,  # bytes of them all
    M_SINCE,  # how many instructions were done when the guest was entered
    M_DIRECT,  # counters
    M_EMULATED,
    M_INTERPRETED,
    M_REFLECTED,
    M_ENTRIES,
    M_TRAPS,  # a word for each trap
    M_MOVED,  # two words for each component the real value of which was made from the guest's: where it is, and from what value
    M_MOVED_COUNT,
    M_RESUME,  # where the monitor's own program enters its guest
    M_LEAVE,  # words: the trap that ends a guest's turn, how many arguments it has, and these
    M_PAIRS,  # two words for each component the hardware loads and saves: where it is, and where from
    M_PAIR_COUNT,
    M_FILLED,  # image: what is given to the guest as it is entered
    M_EXPECTED,  # image: what is the monitor's, as it was then
    M_DELIVERED,  # a counter: traps the guest has got from the hardware
    M_EXITS,  # for each trap EXIT_REASONS words: how often it has ended a guest's turn, by its first argument
    M_REASON,  # 1 + the first argument of the last, when it was greater
    M_ARGUMENTS,  # those of a trap, while it is delivered
    M_LAST,  # the trap counted last
    M_DISTURBED,  # image: how often a component of the monitor's was changed by its guest
) = range(0, 39 * 8, 8)
M_SIZE = 39 * 8
EXIT_REASONS = 256
EXIT = 4  # in TRAP_KINDS


# M_MODE
ALWAYS, IN_USER_MODE, UNTRANSLATED = range(3)

# How a turn ends: its instructions are spent; a condition holds; the guest's machine stops; a trap is the caller's; the next instruction
# is not for generated code; a table has moved; the hardware does not enter or leave the guest; what it left for is not for generated
# code; it left for a reason too large to be counted.
GOES_ON, SPENT, WATCHED, STANDS, TRAPPED, SLOW, MOVED, REFUSED, CARRY, NOTED = range(10)

NAMES = {name: value for name, value in sorted(globals().items()) if name.isupper() and isinstance(value, int)}
