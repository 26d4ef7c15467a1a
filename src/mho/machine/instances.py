"""What the cells of a chip hold of the basis that all its layers share, as they are read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mho.errors import ProgramError
from mho.machine.analog.spec import Analog
from mho.machine.functional import Executor
from mho.program import Activate, Program
from mho.program.instructions import members


def read_basis(program: Program, analog: Analog | None = None) -> npt.NDArray[np.float64]:
    """Return the levels (instances, vectors, height) that the cells of each instance of a program's basis are read as.

    `analog` says what devices and wires are like; None: ideal. What they are on one chip follows from its seed and from where and
    when cells are written, which no coefficient changes: coefficients that are fitted to what is read here
    (`mho.number.fit_basis(..., cells=...)`) make a program whose cells are read the same. Noise that is new at each read, and
    converters, are not in it. Raises ProgramError where the program holds no basis.
    """
    if not program.mapping.combining or program.quantised is None:
        raise ProgramError(f"the program of {program.network.name} holds no basis whose cells could be read")
    executor = Executor(program, analog)
    mapped, fabric = program.mapping.combining[0], executor.fabric
    found: dict[tuple[int, ...], npt.NDArray[np.float64]] = {}
    for instruction in program.instructions:
        if isinstance(instruction, Activate) and program.mapping.by_index[instruction.layer].combination is not None:
            groups = tuple(members(instruction.groups))
            if groups not in found:
                sizes = zip(groups, mapped.blocks.heights.tolist(), mapped.blocks.widths.tolist(), strict=True)
                found[groups] = executor.products.levels(
                    mapped, {i: fabric.read(*each) for i, each in enumerate(sizes)}
                )
    return np.stack([found[groups] for groups in sorted(found)])


__all__ = ["read_basis"]
