"""What everything kept between runs rests on: the user's cache folder, files that are whole, and names made of hashes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

_reasons: list[str] = []


def default_directory() -> Path:
    """The user's cache folder for this program; it need not exist."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("vcheck", appauthor=False))


def digest(parts: Iterable[str]) -> str:
    """A name for a sequence of texts: equal exactly when the sequences are."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        state.update(b"%d:" % len(data))
        state.update(data)
    return state.hexdigest()


def read(path: Path, magic: bytes) -> bytes | None:
    """What :func:`write` put there; None where there is no such file, or not as it was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    start = len(magic) + 32
    if data[: len(magic)] != magic or hashlib.sha256(data[start:]).digest() != data[len(magic) : start]:
        return None
    return data[start:]


def write(path: Path, payload: bytes, magic: bytes = b"") -> None:
    """Write a file elsewhere and rename it into place; with a ``magic`` that and the payload's hash stand before it. Raises OSError."""
    if magic:
        payload = magic + hashlib.sha256(payload).digest() + payload
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def if_possible(*others: type[Exception]) -> Iterator[None]:
    """Goes on where something cannot be kept, for an OSError or one of ``others``: it is made anew another time. See :func:`unkept`."""
    kinds: tuple[type[Exception], ...] = (OSError, *others)
    try:
        yield
    except kinds as error:
        _reasons.append((error.strerror if isinstance(error, OSError) else "") or str(error))


def unkept() -> str:
    """Why something could not be kept since this was last asked; empty when all was."""
    reason = _reasons[0] if _reasons else ""
    _reasons.clear()
    return reason
