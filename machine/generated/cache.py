"""Compiled machines in the user's cache folder, under the hash of everything they were made from.

An entry is one file, written elsewhere and renamed into place, and read only if its own hash fits: a damaged one is made
anew. Nothing here ever fails: without a folder to write to, machines are compiled again each time.
"""

from __future__ import annotations

import contextlib
import functools
import json
from pathlib import Path
from typing import Any

from isa_specs.core import Isa
from isa_specs.keeping import default_directory, digest, if_possible, read, write

MAGIC = b"vcheck generated machine 1\n"
KEPT = 32  # entries; older ones are deleted
_HERE = Path(__file__).parent


def directory() -> Path:
    """The folder of compiled machines; it need not exist."""
    return default_directory() / "generated"


@functools.cache
def _generator() -> str:
    """Names the generator and all it rests on, by its text."""
    language = _HERE.parent.parent / "isa_specs"
    files = [*sorted(_HERE.glob("*.py")), *sorted(file for file in language.rglob("*") if file.suffix in (".py", ".lark"))]
    return digest(file.name + "\0" + file.read_text(encoding="utf-8") for file in files)


def key(isa: Isa, options: str) -> str:
    """The name of a description's entry; empty for one that was not read from text."""
    from machine.generated.native import compiler_version, processor

    if not isa.sources:
        return ""
    return digest([_generator(), compiler_version(), processor(), options, *isa.sources.values()])


def load(name: str, folder: Path | None = None) -> tuple[dict[str, Any], bytes] | None:
    """What was stored under ``name``: a description of the code, and the code; None when there is nothing good."""
    if not name:
        return None
    data = read((folder or directory()) / f"{name}.bin", MAGIC)
    if data is None:
        return None
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def store(name: str, facts: dict[str, Any], code: bytes, source: str, folder: Path | None = None) -> None:
    """Keep compiled code, and its source beside it for reading, if possible."""
    if not name:
        return
    text = json.dumps(facts).encode()
    payload = len(text).to_bytes(8, "little") + text + code
    place = folder or directory()
    with if_possible():
        place.mkdir(parents=True, exist_ok=True)
        write(place / f"{name}.py", source.encode())
        write(place / f"{name}.bin", payload, MAGIC)
        prune(place, ".bin", ".py")


def prune(place: Path, kind: str, *with_it: str) -> None:
    """Delete all but the newest files of a ``kind``, and those that belong to them."""
    entries = sorted(place.glob(f"*{kind}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in entries[KEPT:]:
        for suffix in (kind, *with_it):
            path.with_suffix(suffix).unlink(missing_ok=True)


def clear(folder: Path | None = None) -> int:
    """Delete all entries, and nothing else; returns the number of bytes freed."""
    freed = 0
    place = folder or directory()
    for path in [found for pattern in ("*.bin", "*.py", "*.isa", ".new-*") for found in place.glob(pattern)]:
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            path.unlink()
            freed += size
    return freed
