"""What a program computes: its instructions carried out on cells.

Nothing but the program is consulted: an activation multiplies with the levels that the program's own writes left in
the cells of its groups, and adds only the partial sums that it was told to make. So an output can only be right if
every block was in place when it was read, every window went through every block, and nothing was counted twice.

Cells are blank at first (`machine/fabric.py`); setup and one inference, its writes alone, bring them into the steady state in which
every inference that is executed finds them. Without an `Analog`, devices are ideal and converters wide enough; with one, sums are
what its devices, wires and converters make of them (`machine/analog`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError, ProgramError, choices
from mho.machine.analog.kernels import BACKENDS
from mho.machine.analog.planned import Job
from mho.machine.analog.products import Products
from mho.machine.analog.signals import Signals
from mho.machine.analog.spec import Adc, Analog
from mho.machine.analog.unroll import settled, unrolled
from mho.machine.combining import combined_sums, driven_parts
from mho.machine.fabric import Fabric
from mho.machine.flowing import Stream
from mho.machine.gathered import gathered_sums
from mho.mapping import LayerMapping
from mho.network.layers import MatrixLayer
from mho.number.batching import chunks, fixed
from mho.number.reference import Values, complete, fixed_values, summed, vector_step
from mho.number.walk import Inputs, checked, joined, kept, part
from mho.program import Activate, Combine, Gather, Program, Vector, Write
from mho.program.columns import WRITE, columns
from mho.program.instructions import members

FloatArray = npt.NDArray[np.float64]
Watch = Callable[[LayerMapping, list[Job], npt.NDArray[np.uint8]], None]
"""Is told of each layer's jobs and windows (matrices, runs, windows, K) before they are multiplied."""
IDEAL = Analog(adc=Adc(bits="ideal"))


@dataclass(eq=False)
class _Machine:
    """One run of the program on cells in steady state: tensors, and activations that wait for their layer to be combined."""

    program: Program
    fabric: Fabric
    products: Products
    values: Values
    first_run: int
    runs: int
    watch: Watch | None = None
    jobs: dict[int, list[Job]] = field(default_factory=dict)

    def activate(self, instruction: Activate) -> None:
        """Note which block serves which windows, with what its cells hold now."""
        mapped = self.program.mapping.by_index[instruction.layer]
        jobs = self.jobs.setdefault(instruction.layer, [])
        for index, group in zip(range(*mapped.within(instruction.blocks)), members(instruction.groups), strict=True):
            block = self.fabric.read(group, int(mapped.blocks.heights[index]), int(mapped.blocks.widths[index]))
            jobs.append(Job(index, instruction.windows, block))

    def gather(self, instruction: Gather) -> tuple[int, ...]:
        """Add up the rows that bags look up, from what the cells of their instances hold; return the layers that are finished."""
        program, tables, quantised = self.program, self.program.mapping.tables, self.values.quantised
        assert tables is not None
        layers = [program.network.layers[index] for index in tables.layers]
        sums = gathered_sums(program, self.fabric, self.values, instruction, self.products.analog)
        for place, layer in enumerate(layers):
            self.values.put(layer.name, summed(quantised.tables[layer.name], sums[:, place]))
        return tables.layers

    def combine(self, instruction: Combine, signals: Signals | None) -> None:
        """Add the partial sums, correct zero points, scale, add the bias; stored as codes if the tensor has a code."""
        index = instruction.layer
        layer = self.program.network.layers[index]
        assert isinstance(layer, MatrixLayer)
        jobs = self.jobs.pop(index, None)
        if jobs is None:
            raise ProgramError(f"layer {layer.name!r} is combined, but none of its blocks was activated")
        mapped = self.program.mapping.by_index[index]
        quantised = self.values.quantised
        codes, zero = self.values.codes(layer.inputs[0]), int(quantised.codes[layer.inputs[0]].zero)
        if self.watch is not None:
            self.watch(mapped, jobs, self._windows(layer, mapped)[0])
        samples = self.runs * layer.shape[0]
        whole, clipped = self.products.whole(mapped, jobs), 0
        if whole is not None:
            sums = whole.sums(layer, codes, zero, samples)
        else:
            sums, clipped = self._by_blocks(layer, mapped, jobs)
        if signals is not None:
            exact = self.products.exact(mapped).sums(layer, codes, zero, samples).astype(np.float64)
            signal, noise = float(np.square(exact).sum()), float(np.square(sums - exact).sum())
            signals.add(layer.name, self.products.conversions(mapped, jobs, self.runs), clipped, signal, noise)
        self.values.put(layer.name, complete(quantised, layer, sums, overwrite=True))

    def _by_blocks(self, layer: MatrixLayer, mapped: LayerMapping, jobs: list[Job]) -> tuple[FloatArray, int]:
        """Add what the blocks give, corrected for zero points, in the layout of the layer's output; and what clipped."""
        quantised = self.values.quantised
        matrix, code = quantised.matrices[layer.name], quantised.codes[layer.inputs[0]]
        x, inputs = self._windows(layer, mapped)
        if mapped.combination is None:
            raw, clipped = self.products.sums(mapped, jobs, x, inputs, self.first_run)
        else:
            raw, clipped = self._combined(layer, mapped, jobs, x, inputs)
        raw = raw.reshape(len(raw), -1, layer.columns)
        zero, zeros = int(code.zero), np.broadcast_to(matrix.zero, (len(raw), layer.columns))
        # What a crossbar cannot do itself: see `number.reference.accumulate`.
        constant = zero * (layer.rows * zeros - matrix.codes.sum(axis=1, dtype=np.int64))
        samples = self.runs * layer.shape[0]
        return settled(layer, raw, inputs, zeros, constant, samples), clipped

    def _combined(
        self,
        layer: MatrixLayer,
        mapped: LayerMapping,
        jobs: list[Job],
        x: npt.NDArray[np.uint8],
        inputs: npt.NDArray[np.int64],
    ) -> tuple[FloatArray, int]:
        """Return the sums of a layer's codes, (matrices, runs, windows, N), combined from those of a basis; and what clipped.

        Inferences one after another: sums of a basis take much more room than those of a layer.
        """
        coding, combination, matrix = self.values.quantised.basis, mapped.combination, self.values.quantised.matrices
        assert coding is not None and combination is not None
        pad, clipped, parts = self.products.zero(mapped), 0, []
        for run in range(self.runs):
            driven = x[:, run : run + 1]
            sums, clips = self.products.sums(
                mapped, jobs, driven, driven.sum(axis=-1, dtype=np.int64)[:, 0], self.first_run + run
            )
            parts.append(combined_sums(coding, layer, combination, sums, driven, pad))
            clipped += clips
        zeros = np.broadcast_to(matrix[layer.name].zero, (layer.groups, layer.columns))[:, None, None]
        given = inputs.reshape(layer.groups, self.runs, -1, 1)
        return np.concatenate(parts, axis=1) + zeros * given, clipped

    def _windows(self, layer: MatrixLayer, mapped: LayerMapping) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Lay out a layer's input codes as what its blocks get, (matrices, runs, windows, K), and sums of each of its own windows,
        (matrices, all windows).
        """
        name = layer.inputs[0]
        x, inputs = unrolled(layer, self.values.codes(name), int(self.values.quantised.codes[name].zero))
        x = x.reshape(x.shape[0], self.runs, -1, x.shape[2])
        if mapped.combination is not None:
            x = driven_parts(x, mapped.blocks.rows, self.products.zero(mapped))
        return x, inputs

    def run(self, keep: frozenset[str], signals: Signals | None) -> None:
        """Carry out an inference in the program's order, forgetting tensors that all their readers have read."""
        network = self.program.network
        unread = {name: len(readers) for name, readers in network.consumers.items()}
        for number in range(self.program.setup, len(self.program.instructions)):
            instruction = self.program.instructions[number]
            if isinstance(instruction, Write):
                self.fabric.write(number)
            elif isinstance(instruction, Activate):
                self.activate(instruction)
            elif isinstance(instruction, Combine | Vector | Gather):
                done: tuple[int, ...] = (instruction.layer,)
                if isinstance(instruction, Combine):
                    self.combine(instruction, signals)
                elif isinstance(instruction, Gather):
                    done = self.gather(instruction)
                else:
                    layer = network.layers[instruction.layer]
                    vector_step(self.values.quantised, layer, self.values, self.runs * network.batch)
                for name in (name for index in done for name in dict.fromkeys(network.layers[index].inputs)):
                    unread[name] -= 1
                    if not unread[name] and name not in keep:
                        self.values.drop([name])


class Executor:
    """A program on a chip in steady state, to be run on any number of inputs; see `execute`.

    executor = Executor(program, analog)      cells are programmed, and columns prepared when they are first used
    executor.run(inputs)                      as often as wanted
    """

    def __init__(
        self, program: Program, analog: Analog | None = None, *, backend: str = "compiled", watch: Watch | None = None
    ) -> None:
        network, quantised = program.network, program.quantised
        if quantised is None:
            raise ProgramError(
                f"{network.name} was compiled from shapes alone and has no weights to execute; load it with weights"
            )
        if not quantised.executable:
            raise ProgramError(
                f"the activations of {network.name} are not calibrated; compile mho.number.quantise(network, samples) instead"
            )
        if backend not in BACKENDS:
            raise OptionError(f"unknown backend {backend!r}; {choices(backend, BACKENDS)}")
        self.program = program
        self.watch = watch
        self.products = Products(program, IDEAL if analog is None else analog, backend)
        self.fabric = Fabric(program, tracked=self.products.draws)
        for number in columns(program).of(WRITE).tolist():
            self.fabric.write(number)
        self._base = fixed_values(quantised)

    def run(
        self,
        inputs: Inputs,
        *,
        keep: Sequence[str] = (),
        signals: Signals | None = None,
        first_sample: int = 0,
        chunk: int | None = None,
    ) -> dict[str, FloatArray]:
        """Compute outputs; arguments as for `execute`. `chunk`: samples computed together, which changes no result."""
        network, quantised = self.program.network, self.program.quantised
        assert quantised is not None
        arrays, runs = checked(network, inputs)
        names = kept(network, keep)
        staying = frozenset(names.values()) | fixed(network)
        if first_sample < 0 or first_sample % network.batch:
            raise OptionError(f"first_sample is a multiple of the {network.batch} of an inference, not {first_sample}")
        if self.program.stream is not None:
            if signals is not None or self.watch is not None:
                raise OptionError(
                    "what converters lose is not measured in a stream; compile for one inference at a time"
                )
            stream = Stream(self.program, self.fabric, self.products, self._base)
            first = first_sample // network.batch
            return joined(network, names, list(stream.run(arrays, runs, tuple(names.values()), first)))
        pieces = []
        for start, stop in chunks(network, runs, chunk):
            values = Values(quantised, self._base)
            values.enter(part(network, arrays, start, stop))
            first = first_sample // network.batch + start
            machine = _Machine(self.program, self.fabric, self.products, values, first, stop - start, self.watch)
            machine.run(staying, signals)
            pieces.append({tensor: values.real(tensor) for tensor in names.values()})
        return joined(network, names, pieces)


def execute(
    program: Program,
    inputs: Inputs,
    *,
    keep: Sequence[str] = (),
    analog: Analog | None = None,
    signals: Signals | None = None,
    first_sample: int = 0,
    backend: str = "compiled",
) -> dict[str, FloatArray]:
    """Compute the outputs of a program's network by carrying out the program, cell by cell.

    `inputs` is an array, or a tuple of them, one for each input of the network, axis 0 the samples (a multiple of the
    network's batch). Returns real (decoded) values by tensor name: the outputs, and those named in `keep`.

    `analog` says what devices, wires and converters are like; None: ideal. `signals` collects clip rates and signal-to-noise
    ratios of the layers. `first_sample` numbers the first sample, so that noise that is new at each conversion does not depend
    on how samples are given. `backend`: "compiled", "plain" (numpy, slow, says what is right) or "torch" (a GPU where torch
    sees one); all give the same result.

    Raises ProgramError where the program has no weights or no calibrated activations; NumberError for inputs of wrong shape;
    AnalogError and DeviceError where `analog` does not fit the chip; OptionError for an unknown backend.
    """
    executor = Executor(program, analog, backend=backend)
    return executor.run(inputs, keep=keep, signals=signals, first_sample=first_sample)
