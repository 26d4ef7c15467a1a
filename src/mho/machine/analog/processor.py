"""What the processor can do that compiled loops are written for: the one that numba compiles for, which its settings may name.

`NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES` are heeded, so that loops for an older processor can be tried on a newer one.
"""

from __future__ import annotations

from functools import lru_cache

import llvmlite.binding as llvm
from numba.core import config

PROBES = """
declare <16 x i32> @llvm.ctpop.v16i32(<16 x i32>)
define <16 x i32> @count(<16 x i32> %x) {
  %y = call <16 x i32> @llvm.ctpop.v16i32(<16 x i32> %x)
  ret <16 x i32> %y
}
define <64 x i8> @bytes(<64 x i8> %x, <64 x i8> %y) {
  %z = add <64 x i8> %x, %y
  ret <64 x i8> %z
}
define <16 x i8> @places(<16 x i8> %x) {
  %y = shufflevector <16 x i8> %x, <16 x i8> undef, <16 x i32> <i32 3, i32 1, i32 9, i32 0, i32 15, i32 2, i32 11, i32 5,
    i32 7, i32 4, i32 8, i32 14, i32 6, i32 13, i32 10, i32 12>
  ret <16 x i8> %y
}
"""
"""Functions whose machine code tells what there is: LLVM says so of the processor at hand, and of one that is only named not."""


def _features() -> str:
    """Return the features that numba compiles with, "+one,-other"."""
    if config.CPU_FEATURES is not None:
        return str(config.CPU_FEATURES)
    try:
        found = llvm.get_host_cpu_features()
    except RuntimeError:
        return ""
    for name in found:
        found[name] = found[name] and (bool(config.ENABLE_AVX) or not name.startswith("avx"))
    return str(found.flatten())


@lru_cache(maxsize=1)
def multiplies_bytes() -> bool:
    """Say whether it multiplies bytes by fours (AVX-512 VNNI)."""
    return "+avx512vnni" in _features().split(",")


@lru_cache(maxsize=1)
def instructions() -> frozenset[str]:
    """Return which it has of `count` (bits of 16 words at once), `bytes-64`, `bytes-32`, `bytes-16`: look-ups among 16 bytes in
    vectors of so many.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    cpu = llvm.get_host_cpu_name() if config.CPU_NAME is None else str(config.CPU_NAME)
    machine = target.create_target_machine(cpu=cpu, features=_features(), opt=2)
    code = machine.emit_assembly(llvm.parse_assembly(PROBES))
    if "pshufb" not in code:
        return frozenset()
    found = {"bytes-16"}
    adds = [line for line in code.splitlines() if "paddb" in line]
    found |= {"bytes-32"} if any("%ymm" in line for line in adds) else set()
    found |= {"bytes-64", "bytes-32"} if any("%zmm" in line for line in adds) else set()
    found |= {"count"} if any("vpopcntd" in line and "%zmm" in line for line in code.splitlines()) else set()
    return frozenset(found)
