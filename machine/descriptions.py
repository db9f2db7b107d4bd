"""Bundled descriptions as they were read before, in the user's cache folder beside compiled machines.

An entry's name is the hash of the language and all bundled descriptions. It is a pickle of the description and of the tree in which its
decoder finds forms, trusted like the machine code beside it, and read only if its own hash fits. Where there is none, or it cannot be
written, the description is read from its text."""

from __future__ import annotations

import contextlib
import pickle
import sys

from isa_specs import load as reading
from isa_specs.core import Isa
from isa_specs.encoding import decoder
from isa_specs.keeping import digest, if_possible, read, write
from machine.generated.cache import directory, prune

MAGIC = b"vcheck description 2\n"


def load(name: str) -> Isa:
    """See :func:`isa_specs.load.load`."""
    path = reading.find(name)
    if path not in reading.bundled().values():
        return reading.load(name)
    place = directory()
    entry = place / f"{_key(path.relative_to(reading.BUNDLED).as_posix())}.isa"
    with reading.collector_paused():
        kept = read(entry, MAGIC)
        if kept is not None:
            with contextlib.suppress(pickle.UnpicklingError, AttributeError, EOFError, ImportError, IndexError, KeyError):
                found, tree = pickle.loads(kept)
                assert isinstance(found, Isa)
                decoder(found).tree = tree
                return found
        isa = reading.load(name)
        with if_possible(RecursionError):
            place.mkdir(parents=True, exist_ok=True)
            write(entry, pickle.dumps((isa, decoder(isa).tree), pickle.HIGHEST_PROTOCOL), MAGIC)
            prune(place, ".isa")
    return isa


def _key(name: str) -> str:
    files = sorted(file for file in reading.BUNDLED.rglob("*") if file.suffix in (".py", ".lark", ".spec"))
    texts = (file.relative_to(reading.BUNDLED).as_posix() + "\0" + file.read_text(encoding="utf-8") for file in files)
    return digest([name, sys.version, *texts])
