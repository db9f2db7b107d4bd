"""The words of the record that are the machine's own, as byte offsets: the same for every description."""

from __future__ import annotations

(
    COUNTER_AT,  # the address of the instruction at hand
    NEXT,  # where a trap that keeps effects lets the machine go on
    JUMPED,  # whether a function assigned the counter
    STATUS,  # why the run stopped: a trap when negative, else one of the numbers below
    ILEN,  # the length of the instruction, as the trap saw it
    FORM,  # what was decoded: a form, the number of forms for bytes that are none
    LENGTH,
    EXECUTED,  # the form carried out in place of FORM, or -1
    UNDEFINED,  # the bits that stand for what the manual leaves undefined
    LEAVE,  # the kinds of traps that end a run instead of being delivered, a bit each
    HALTED,  # 1 + the trap that stopped the machine; in the upper half 1 + the one raised in its delivery
    JOURNAL,  # where the journal of old values begins, and where it ends
    KEPT,
    KNOWN,  # bytes of the instruction that are fetched
    NAMED,  # whether they come from an EXECUTE
    GIVEN,  # how many it gave
    CONTEXT,  # names the values that cached translations and decodings rest on; UNKNOWN matches none
    LAST_CONTEXT,
    REMEMBERED,  # how many contexts are
    OLDEST,
    FLUSHES,
    WALKS,
    DECODES,
    LOGGING,  # whether stores are logged, for an undo of the whole run
    LOG,
    LOG_END,
    DECODED,  # the table of decoded instructions in use
    STOPS,  # addresses to stop at, and how many
    STOP_COUNT,
    STOP_FORMS,  # a byte for each form
    PASS,  # 1 + the address not to stop at once
    DELIVERED,  # traps delivered by generated code
    NODES,  # the decoder's tree: 256 words for each node
    LEAVES,  # where the programs of the forms at a leaf begin, -1 behind the last
    PROGRAMS,  # how each form is read: four words for each operation
    KIND,  # of the trap that ended the last instruction, a number of TRAP_KINDS
    VIEW,  # whose state the record holds: 0 the real machine's, else that of the guest of so many monitors
    TOP,  # the number of monitors: that guest does not see what there is for the machine of a monitor only
    OWN_TABLE,  # decoded instructions of the real machine
    OTHER_TABLE,  # and those of guests that a monitor carries out; 0 without
    CONDITIONS,  # of which one that holds after a delivery ends a run, and where they end; see ``met``
    CONDITIONS_END,
    REGION_STEPS,  # instructions a region completed before the last one it carried out
    REGION_PC,  # and that one: address, length and form
    REGION_LENGTH,
    REGION_FORM,
    BYTES,  # those fetched, a word each
) = range(0, 47 * 8, 8)
VALUE = BYTES + 16 * 8  # of an EXECUTE, least significant word first
WORDS = VALUE + 8 * 8  # the packed fields of the decoded instruction
EVERY_KIND = 31  # a bit for each of TRAP_KINDS
CONTROL_END = WORDS + 4 * 8

CONTROL = {name: value for name, value in sorted(globals().items()) if name.isupper() and isinstance(value, int) and name != "CONTROL_END"}

# What is known of a page of a space, a bit each.
STORED, WATCHED, ABSENT, REAL = 1, 2, 4, 8  # stored to; something there is watched; not installed; there for a monitor's machine only

UNKNOWN = 1 << 62
CONTEXT_SHIFT = 40  # a context's number stands above the number of a granule
MAX_CONTEXTS = 1 << 21  # then tables are cleared and numbers begin anew
WAYS = 8  # contexts remembered at a time
ENTRIES = 256  # of a translation table
ENTRY_BYTES = 16
DECODED_ENTRIES = 4096
DECODED_BYTES = 64
UNDO_BYTES = 24
LOG_BYTES = 32
SPACE_SHIFT = 48  # in the log a space's number stands above the address

# Operations of the decoder's programs.
END, TEST, KEEP, JOIN, NUMBER, ADDRESS, WHERE, LITERAL, PACK, ALONE = range(10)

# Why a run stopped, when not because of a trap.
LIMIT, STOPPED, HALT, PLAIN, BROKEN, MET = range(6)
