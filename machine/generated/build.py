"""From a description to compiled code: from the cache where it holds it, else generated, compiled and kept there."""

from __future__ import annotations

import base64
import itertools
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isa_specs.core import Isa
from isa_specs.load import collector_paused
from machine.generated import cache
from machine.generated.facts import Writers
from machine.generated.layout import Layout
from machine.generated.native import compiling, texts

if TYPE_CHECKING:
    from concurrent.futures import Future


@dataclass(slots=True)
class Generated:
    """Compiled code and what is needed to run it. Tables are in words; offsets in bytes of the record."""

    layout: Layout
    code: list[bytes]  # of its parts
    nodes: list[int]
    leaves: list[int]
    programs: list[int]
    rests_on: list[str]  # cells
    overturning: list[str]  # arrays and spaces
    contexts: list[int]  # where the decoder leaves them
    monitors: list[str]  # those whose maps generated code evaluates
    forms: list[str]  # their functions
    writers: Writers
    columns: dict[str, int]  # of components in the rows of a batch; empty but for batches
    near: int  # the first of those that are fetched ahead
    packed: str  # the module's text; see :attr:`source`
    cached: bool
    optimized: Future[list[bytes]] | None = None  # code to come, that does the same sooner

    @property
    def source(self) -> str:
        return zlib.decompress(base64.b64decode(self.packed)).decode()


def build(isa: Isa, *, fast: bool = True, rows: bool = False, brief: bool = False, soon: bool = False, use_cache: bool = True,
          folder: Path | None = None) -> Generated:
    """The generated machine of ``isa``. With ``fast`` False it remembers neither walks nor decodings. With
    ``rows`` it is the module for batches. A ``brief`` one is for a few steps: compiled in a tenth of the time, not optimized, not kept.
    One that is wanted ``soon`` is such a one, too, where none was kept; what it comes to when optimized is compiled meanwhile, and kept.

    Raises :class:`machine.generated.layout.NotGenerated` where the description asks for what generated code does not do."""
    name = cache.key(isa, f"fast={fast}" + " rows" * rows) if use_cache and not brief else ""
    found = cache.load(name, folder)
    if found is not None:
        facts, stored = found
        ends = list(itertools.accumulate(facts["parts"]))
        return _made(isa, facts, [stored[end - size : end] for size, end in zip(facts["parts"], ends, strict=True)], cached=True)
    from machine.generated.emit import Unit

    with collector_paused():
        unit = Unit(isa, fast, rows)
        source = unit.source
        parts = texts(source)
    facts = {
        "constants": unit.layout.constants, "size": unit.layout.size, "nodes": unit.decoding.nodes, "leaves": unit.decoding.leaves,
        "programs": unit.decoding.programs, "rests_on": unit.rests_on.cells, "overturning": sorted(unit.rests_on.others),
        "contexts": [unit.decoding.offset(context) for context in isa.contexts], "monitors": unit.monitors,
        "forms": unit.forms, "writers": asdict(unit.analysis.writers()), "columns": unit.columns, "near": unit.near,
        "source": base64.b64encode(zlib.compress(source.encode(), 1)).decode(),
    }  # fmt: skip

    def keep(code: list[bytes]) -> None:
        cache.store(name, facts | {"parts": [len(part) for part in code]}, b"".join(code), source, folder)

    if brief or soon:
        made = _made(isa, facts, compiling(parts, level=0).result(), cached=False)
        made.optimized = None if brief else compiling(parts, then=keep)
        return made
    return _made(isa, facts, compiling(parts, then=keep).result(), cached=False)


def _made(isa: Isa, facts: dict[str, Any], code: list[bytes], *, cached: bool) -> Generated:
    layout = Layout(isa)
    layout.extend(facts["constants"], facts["size"])
    return Generated(layout, code, facts["nodes"], facts["leaves"], facts["programs"], facts["rests_on"], facts["overturning"],
                     facts["contexts"], facts["monitors"], facts["forms"], Writers(**facts["writers"]), facts["columns"], facts["near"],
                     facts["source"], cached)
