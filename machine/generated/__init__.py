"""The generated machine: a description turned into int64 code and compiled.

:mod:`emit` writes one Python module from the core form, :mod:`llvm` translates that very text to machine code,
:mod:`numba_route` compiles it a second, independent way, and :mod:`cache` keeps what was compiled.
"""
