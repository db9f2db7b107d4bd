"""Benchmarks. They have a command of their own, ``python -m tests.benchmarks``: neighbours on the same processors spoil them."""
