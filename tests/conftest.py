"""For all tests: an example takes as long as it takes on a busy machine. How fast things are is measured in ``tests/benchmarks``."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")
