"""The generated machine: a description turned into int64 code and compiled.

:mod:`emit` writes one Python module from the core form, :mod:`llvm` and :mod:`native` make machine code of that very text,
:mod:`numba_route` compiles it a second, independent way, and :mod:`cache` keeps what was compiled.
"""
