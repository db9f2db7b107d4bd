"""Machine code from a generated module, by LLVM; and its functions, callable.

What only compiling needs is imported there: code that was kept needs none of it."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from machine.errors import MachineError
from machine.generated import unlocked

if TYPE_CHECKING:
    from concurrent.futures import Future

EXPORTED = {"run": 2, "peek": 1, "prepare": 1, "forget": 1, "deliver": 3, "cases": 10, "origins": 7,
            "enter": 2, "leave": 2, "turn": 5, "assist": 4}  # and how many arguments they have
INLINING = 60  # LLVM's own 225 takes a third longer and runs no faster
MOST = 4  # parts: each has copies of its own of what is inlined
WHOLE = 1000  # in a region, where constants make little of what is inlined


class Compiled:
    """Machine code in memory, as long as this object lives. ``function(name)`` is an exported function of integers."""

    def __init__(self, object_codes: Sequence[bytes]):
        import llvmlite.binding as llvm

        _initialise()
        machine = _target_machine()
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        for code in object_codes:
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self._functions: dict[str, Callable[..., int]] = {}

    def function(self, name: str) -> Callable[..., int]:
        if name not in self._functions:
            word = ctypes.c_int64
            self._functions[name] = ctypes.CFUNCTYPE(word, *[word] * EXPORTED[name])(self.address(name))
        return self._functions[name]

    def address(self, name: str) -> int:
        """Where a function is that other code may call."""
        address = int(self._engine.get_function_address(name))
        if not address:
            raise MachineError(f"the generated code has no {name}")
        return address


class Linked(Compiled):
    """Code in memory that calls functions ``outside``, by their addresses."""

    def __init__(self, source: str, outside: Mapping[str, int]):
        from machine.generated.llvm import Module

        _initialise()
        super().__init__([_compiled(Module(source, outside).text, WHOLE)])


@functools.cache
def _initialise() -> None:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _target_machine(level: int = 2):  # type: ignore[no-untyped-def]
    import llvmlite.binding as llvm

    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=level, reloc="static", codemodel="jitdefault"
    )


@functools.cache
def processor() -> str:
    """The processor code is compiled for, as far as it decides the code."""
    import llvmlite.binding as llvm

    return f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"


def compiler_version() -> str:
    import llvmlite
    import llvmlite.binding as llvm

    return f"llvmlite {llvmlite.__version__}, LLVM {'.'.join(map(str, llvm.llvm_version_info))}"


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def texts(source: str, threads: int = 0) -> list[str]:
    """A generated module as LLVM's text, in parts for so many threads (default: one a processor)."""
    from machine.generated.llvm import Module
    from machine.generated.parts import parts

    return parts(Module(source).definitions, threads or min(processors(), MOST))


def compiling(parts: Sequence[str], level: int = 2, then: Callable[[list[bytes]], None] = lambda code: None) -> Future[list[bytes]]:
    """The object code to come of these texts, optimized to LLVM's ``level``: each is compiled by a thread of its own. The last of them
    does what is to be done ``then``."""
    from concurrent.futures import ThreadPoolExecutor

    _initialise()
    pool = ThreadPoolExecutor(len(parts))
    jobs = [pool.submit(_compiled, text, INLINING, level) for text in parts]

    def joined() -> list[bytes]:
        code = [job.result() for job in jobs]
        then(code)
        return code

    found = pool.submit(joined)
    pool.shutdown(wait=False)
    _underway.add(found)
    found.add_done_callback(_underway.discard)
    _waited_for()
    return found


_underway: set[Future[list[bytes]]] = set()


def finish() -> None:
    """Wait for what is underway to be compiled, and kept."""
    from concurrent.futures import wait

    wait(list(_underway))


@functools.cache
def _waited_for() -> None:
    """Nothing is underway when this process forks: in a child the locks its threads hold would never be let go."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=finish)


def compile_source(source: str, *, threads: int = 0) -> list[bytes]:
    """The object code of a generated module."""
    return compiling(texts(source, threads)).result()


def _compiled(text: str, inlining: int, level: int = 2) -> bytes:
    import llvmlite.binding as llvm

    machine = _target_machine(level)
    module = llvm.parse_assembly(text, llvm.create_context())
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=level)
    options.inlining_threshold = inlining
    options.loop_unrolling = options.loop_interleaving = options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    passes = builder.getModulePassManager()
    unlocked.run(passes, module, builder)
    return unlocked.emit_object(machine, module)
