"""What was computed before, on disk: answers of the solver and whole reports, by the hash of what they depend on.

The cache is one SQLite file in the user's cache folder. It never fails: a folder that cannot be written, a full
disk or a damaged file only mean that things are computed again.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import threading
from pathlib import Path
from types import TracebackType

from isa_specs.keeping import default_directory, digest, if_possible

FILE = "cache.sqlite"
MAX_BYTES = 512 * 1024 * 1024  # beyond this the file is started afresh


@functools.cache
def program_digest() -> str:
    """Names this very program: the hash of its source files, so that a changed definition never meets an old verdict."""
    root = Path(__file__).parent.parent
    below = (file for floor in ("isa_specs", "machine", "checker") for file in (root / floor).rglob("*"))
    files = sorted(file for file in below if file.suffix in (".py", ".lark"))
    return digest(f"{file.relative_to(root)}\0{file.read_text('utf-8')}" for file in files)


class Cache:
    """A map from hashes to texts. What is put is kept in memory and written in one transaction by :meth:`close`."""

    def __init__(self, directory: Path | None = None):
        self.directory = directory if directory is not None else default_directory()
        self.path = self.directory / FILE
        self._lock = threading.Lock()
        self._new: dict[str, str] = {}
        self._db: sqlite3.Connection | None = None
        self._open()

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def get(self, key: str) -> str | None:
        """What was put under ``key``, or None when there is nothing or it is damaged."""
        with self._lock:
            if key in self._new:
                return self._new[key]
            if self._db is None:
                return None
            try:
                row = self._db.execute("SELECT digest, value FROM entries WHERE key = ?", (key,)).fetchone()
            except sqlite3.OperationalError:  # locked by another run, say
                return None
            except sqlite3.Error:
                self._start_afresh()
                return None
        if row is None or not isinstance(row[1], str) or row[0] != digest([row[1]]):
            return None
        return row[1]

    def put(self, key: str, value: str) -> None:
        """Remember ``value``; on disk after :meth:`close`."""
        with self._lock:
            self._new[key] = value

    def close(self) -> None:
        """Write what is new. Can be called again."""
        with self._lock:
            if self._db is None:
                return
            with if_possible(sqlite3.Error):
                self._write()
            self._db.close()
            self._db = None

    def clear(self) -> int:
        """Delete the cache's files, and nothing else in the folder; returns the number of bytes freed."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None
            return self._unlink()

    def _write(self) -> None:
        if not self._new or self._db is None:
            return
        rows = [(key, digest([value]), value) for key, value in sorted(self._new.items())]
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", rows)
        self._new.clear()

    def _open(self) -> None:
        with if_possible():
            self.directory.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size > MAX_BYTES:
                self._unlink()
        with if_possible(sqlite3.OperationalError):
            try:
                self._connect()
            except sqlite3.OperationalError:
                self._db = None
                raise
            except sqlite3.Error:
                self._start_afresh()

    def _connect(self) -> None:
        self._db = sqlite3.connect(self.path, timeout=5, check_same_thread=False)
        self._db.execute("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, digest TEXT, value TEXT) WITHOUT ROWID")

    def _start_afresh(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        self._unlink()
        try:
            self._connect()
        except sqlite3.Error:
            self._db = None

    def _unlink(self) -> int:
        freed = 0
        for name in (FILE, FILE + "-journal"):
            path = self.directory / name
            with contextlib.suppress(OSError):
                size = path.stat().st_size
                path.unlink()
                freed += size
        return freed
