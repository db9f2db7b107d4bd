"""What everything kept between runs rests on: the user's cache folder, files that are whole, and names made of hashes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


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


def write(path: Path, data: bytes) -> None:
    """Write a file elsewhere in its folder and rename it, so that nobody meets half of one. Raises OSError."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
