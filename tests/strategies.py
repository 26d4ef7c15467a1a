"""Random small networks, chips and strategies, drawn from what is registered: a new choice is covered the day it is.

What is drawn has a short repr; a failing example says the rest in a note: each layer in a word, each quantity of the chip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import assume, note
from hypothesis import strategies as st
from hypothesis.vendor.pretty import for_type_by_name

import mho
from mho import Strategy
from mho.chip import Chip
from mho.chip.coding import CODINGS, Coding
from mho.errors import MappingError
from mho.mapping import mapped_by
from mho.network.graph import Network
from mho.network.layers import (
    Activation,
    Array,
    Concatenate,
    Constant,
    Convolution,
    Elementwise,
    Embedding,
    GroupedLinear,
    Input,
    Layer,
    Linear,
    MatrixProduct,
    Pool,
    Reduce,
    Reshape,
    Softmax,
    Transpose,
)
from mho.number import Sampled
from mho.schedule import coded
from mho.strategy import STAGES

# Hypothesis would print every field of a frozen description, weights and cost tables included.
for place, name in (("mho.network.graph", "Network"), ("mho.chip.chip", "Chip")):
    for_type_by_name(place, name, lambda drawn, printer, cycle: printer.text(repr(drawn)))


class Sketch:
    """A network drawn layer by layer."""

    def __init__(self, seed: int, shape: tuple[int, ...], *, integers: bool = False) -> None:
        self.generator = np.random.default_rng(seed)
        self.layers: list[Layer] = [Input(name="input", inputs=(), shape=shape, type="int64" if integers else "real")]

    def add(self, layer: Layer) -> Layer:
        self.layers.append(layer)
        return layer

    def name(self, kind: str) -> str:
        return f"{kind}{len(self.layers)}"

    def weight(self, *shape: int) -> Array:
        spread = 1.5 / np.sqrt(np.prod(shape[1:]))
        return Array.of((self.generator.standard_normal(shape) * spread).astype(np.float32))

    def convolution(
        self, source: Layer, channels: int, kernel: int, stride: int, padding: int, dilation: int, groups: int
    ) -> Layer:
        batch, given, height, width = source.shape
        high, wide = ((n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1 for n in (height, width))
        return self.add(
            Convolution(
                name=self.name("convolution"), inputs=(source.name,), shape=(batch, channels, high, wide),
                weight=self.weight(channels, given // groups, kernel, kernel), bias=self.weight(channels),
                stride=(stride, stride), padding=(padding,) * 4, dilation=(dilation, dilation), convolution_groups=groups,
            )
        )  # fmt: skip

    def linear(self, source: Layer, features: int) -> Layer:
        return self.add(
            Linear(
                name=self.name("linear"), inputs=(source.name,), shape=(*source.shape[:-1], features),
                weight=self.weight(features, source.shape[-1]), bias=self.weight(features),
            )
        )  # fmt: skip

    def grouped(self, source: Layer, groups: int, features: int) -> Layer:
        """Add `groups` linear layers side by side, each on its part of the last axis."""
        return self.add(
            GroupedLinear(
                name=self.name("grouped"), inputs=(source.name,), shape=(*source.shape[:-1], groups * features),
                weight=self.weight(groups * features, source.shape[-1] // groups), bias=self.weight(groups * features),
                linear_groups=groups,
            )
        )  # fmt: skip

    def embedding(self, source: Layer, rows: int, features: int) -> Layer:
        return self.add(
            Embedding(
                name=self.name("embedding"), inputs=(source.name,), shape=(*source.shape, features),
                table=self.weight(rows, features),
            )
        )  # fmt: skip

    def elementwise(self, first: Layer, second: Layer) -> Layer:
        names = (first.name, second.name)
        return self.add(Elementwise(name=self.name("add"), inputs=names, shape=first.shape, function="add"))

    def product(self, first: Layer, second: Layer) -> Layer:
        """Add the product of two activations or constants, (..., M, K) by (..., K, N)."""
        names, shape = (first.name, second.name), (*first.shape[:-1], second.shape[-1])
        inner = first.shape[-1]
        return self.add(MatrixProduct(name=self.name("product"), inputs=names, shape=shape, inner=inner))

    def network(self, *more: str) -> Network:
        """Return the network, whose outputs are its last layer's tensor and those named in `more`."""
        return Network("drawn", tuple(self.layers), (*more, self.layers[-1].name), "drawn (synthetic)")

    def drawn(self, draw: st.DrawFn) -> Network:
        """Return the network, sometimes with an output from its middle."""
        middle = [layer.name for layer in self.layers[:-1] if not isinstance(layer, Input | Constant)]
        more = draw(st.lists(st.sampled_from(middle), max_size=1)) if middle else []
        note(f"layers: {', '.join(f'{each.name} {each.shape}' for each in self.layers)}; also returned: {more}")
        return self.network(*more)


@st.composite
def convolutional(draw: st.DrawFn) -> Network:
    """A few convolutions of every kind, with pooling, skips and concatenations, and a linear layer at the end."""
    channels = draw(st.sampled_from([1, 2, 3, 4]))
    size = draw(st.integers(4, 8))
    sketch = Sketch(draw(st.integers(0, 2**16)), (1, channels, size, size))
    here: Layer = sketch.layers[0]
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["convolution", "depthwise", "grouped", "skip", "concatenate", "pool"]))
        channels, size = here.shape[1], here.shape[2]
        if kind == "pool" and size >= 2:
            here = sketch.add(
                Pool(
                    name=sketch.name("pool"), inputs=(here.name,), shape=(1, channels, size // 2, size // 2),
                    function=draw(st.sampled_from(["maximum", "average"])), kernel=(2, 2), stride=(2, 2),
                )
            )  # fmt: skip
        elif kind in ("skip", "concatenate"):
            made = sketch.convolution(here, channels, 3, 1, 1, 1, 1)
            names, count = (here.name, made.name), 2 * channels
            here = sketch.add(
                Elementwise(name=sketch.name("add"), inputs=names, shape=here.shape, function="add")
                if kind == "skip"
                else Concatenate(name=sketch.name("join"), inputs=names, shape=(1, count, size, size), axis=1)
            )
        else:
            kernel = draw(st.sampled_from([1, 3] if size >= 3 else [1]))
            dilation = draw(st.sampled_from([1, 2] if size > 2 * (kernel - 1) else [1]))
            groups = channels if kind == "depthwise" else 2 if kind == "grouped" and channels % 2 == 0 else 1
            made = draw(st.integers(1, 4)) * groups
            here = sketch.convolution(
                here, made, kernel, draw(st.integers(1, 2)), draw(st.integers(0, 1)), dilation, groups
            )
        if draw(st.booleans()):
            here = sketch.add(
                Activation(name=sketch.name("relu"), inputs=(here.name,), shape=here.shape, function="relu")
            )
    here = sketch.add(
        Reduce(name="mean", inputs=(here.name,), shape=here.shape[:2], function="mean", axes=(2, 3), keep=False)
    )
    sketch.linear(here, draw(st.integers(1, 9)))
    return sketch.drawn(draw)


@st.composite
def attention(draw: st.DrawFn) -> Network:
    """One attention head, sometimes experts side by side, and a linear layer behind, fed with reals, tokens or two inputs."""
    tokens, width = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    front = draw(st.sampled_from(["reals", "tokens", "tokens with positions", "two inputs"]))
    looked_up = front.startswith("tokens")
    shape = (1, tokens) if looked_up else (1, tokens, width)
    sketch = Sketch(draw(st.integers(0, 2**16)), shape, integers=looked_up)
    source = sketch.layers[0]
    if looked_up:
        source = sketch.embedding(source, draw(st.integers(1, 7)), width)
    if front == "tokens with positions":
        places = sketch.add(Constant(name="places", inputs=(), shape=source.shape, value=sketch.weight(*source.shape)))
        source = sketch.elementwise(source, places)
    if front == "two inputs":
        source = sketch.elementwise(source, sketch.add(Input(name="beside", inputs=(), shape=shape)))
    query, key, value = (sketch.linear(source, width) for _ in range(3))
    turned = sketch.add(Transpose(name="turned", inputs=(key.name,), shape=(1, width, tokens), permutation=(0, 2, 1)))
    scores = sketch.product(query, turned)
    weights = sketch.add(Softmax(name="softmax", inputs=(scores.name,), shape=scores.shape, axis=2))
    mixed = sketch.product(weights, value)
    if groups := draw(st.sampled_from([0, 2, 3])):
        mixed = sketch.grouped(sketch.linear(mixed, 2 * groups), groups, draw(st.integers(1, 3)))
    flat = sketch.add(Reshape(name="flat", inputs=(mixed.name,), shape=(1, mixed.size)))
    sketch.linear(flat, draw(st.integers(1, 9)))
    return sketch.drawn(draw)


networks = st.one_of(convolutional(), attention())
rates = st.one_of(st.none(), st.integers(5, 12).map(lambda power: 10.0**power))


INDEX_MEMORY = {
    "sparse.index_bits": 16, "sparse.shift_bits": 3, "sparse.turns": 4, "components.index_memory": "none",
    "components.row_shift": "none", "components.dac": "none",
}  # fmt: skip
"""What mapping by digits needs of a chip."""


LANES = {
    "basis.lanes": 3, "basis.coefficient_bits": 8, "basis.batch": 4, "basis.product_bytes": 2**20, "basis.buffer_bytes": 2**20,
    "basis.buffer_port_bits": 64, "basis.merging": "switches",
}  # fmt: skip
"""What mapping to a basis needs of a chip."""
BASES: dict[str, st.SearchStrategy[Any]] = {
    "vectors": st.integers(1, 40), "nonzeros": st.integers(1, 6), "coefficient_bits": st.integers(2, 8),
    "levels": st.integers(2, 6), "basis": st.sampled_from(["learned", "universal", "units"]), "basis_seed": st.integers(0, 9),
    "input_bits": st.sampled_from([4, 8]), "coefficients": st.sampled_from(["integers", "powers"]),
}  # fmt: skip
"""Settings of bases that fit small chips, and are fitted in a moment."""
ALL_CODES = [name for name in CODINGS if not Coding(name, 8, 2).least_code]
"""Codings that hold every code."""


@st.composite
def readings(draw: st.DrawFn, rows: int, dac_bits: int, least: int = 1) -> dict[str, Any]:
    """Keys of an array that say how it is read, each often left out; `least` rows are driven together."""
    values: dict[str, Any] = {}
    for key, drawn in (
        ("rows_parallel", st.integers(least, rows)),
        ("convert", st.sampled_from(["all", "used"])),
        ("adc_modes", st.just("every")),
        ("adc_kind", st.sampled_from(["sar", "ramp"])),
        ("input_coding", st.sampled_from(["offset", "two_passes", "twos_complement", "signed"])),
        ("integrated_bits", st.integers(dac_bits, 8)),
        ("drive", st.sampled_from(["binary", "unary"] if dac_bits == 1 else ["binary"])),
    ):
        if draw(st.booleans()):
            values[f"array.{key}"] = draw(drawn)
    return values


@st.composite
def chips(draw: st.DrawFn, presets: tuple[str, ...] = ("aras",), index: bool = False) -> Chip:
    """Chips whose arrays divide nothing, of every coding that holds all codes in cells of 1 to 4 or of 8 bits, often too small
    for one layer; without `index` also in cells of one level more than the bits below would name.

    Their memory is anything from far too slow to fast enough for all groups at once, their buffer holds from less than one
    small tensor to everything, and their vector unit is ideal or takes its time. `index`: often with index memory, lanes for a
    basis, DACs of several bits, and pairs of cells in two rows.
    """
    base = Chip.load(draw(st.sampled_from(presets)))
    name, cell_bits = draw(st.sampled_from(ALL_CODES)), draw(st.sampled_from([1, 2, 3, 4, 8]))
    fewer = draw(st.sampled_from([None, None, 2 ** (cell_bits - 1) + 1])) if not index and name != "flipped" else None
    coding = Coding(name, 8, cell_bits, fewer)
    values = {
        "array.rows": draw(st.integers(1, 20)),
        "array.columns": draw(st.integers(coding.cells, 24)),
        "array.adcs": 1,
        "array.cell_bits": coding.cell_bits,
        "array.coding": coding.name,
        "array.cell_levels": coding.highest + 1,
        "array.pulses_full_range": max(60, 2**coding.cell_bits - 1),
        "group.arrays": draw(st.integers(1, 3)),
        "tile.groups": draw(st.integers(1, 3)),
        "tiles": draw(st.integers(1, 6)),
        "layer_order": draw(st.sampled_from(["sequential", "dataflow"])),
        "memory.bandwidth": 10.0 ** draw(st.integers(6, 15)),
        "vector.elements_per_s": draw(rates),
        "vector.macs_per_s": draw(rates),
    }
    # Formulas of other technologies hold for larger arrays alone.
    formulas = () if base.name == "aras" else ("array", "adc", *(["index_memory"] if base.sparse is not None else []))
    values |= {f"components.{role}": "none" for role in formulas}
    if not base.buffer.in_tiles:
        values["buffer.banks"] = draw(st.lists(st.integers(6, 16).map(lambda power: 2**power), min_size=1, max_size=5))
    if index and draw(st.sampled_from([True, True, False])):
        # Pulses that are all alike are of one bit, and a step integrates those of a pulse at least.
        most = 1 if base.array.drive == "unary" else base.array.integrated_bits or 8
        values |= {**INDEX_MEMORY, "array.dac_bits": draw(st.sampled_from([n for n in (1, 2, 3, 4, 8) if n <= most]))}
    if base.array.pairs is not None:
        values["array.pairs"] = "columns"
    if index and coding.pairs and draw(st.booleans()):
        values |= {"array.pairs": "rows", "array.rows": int(values["array.rows"]) + 1}
    if base.array.rows_parallel is not None:
        values["array.rows_parallel"] = min(base.array.rows_parallel, int(values["array.rows"]))
    if index:
        values |= LANES if draw(st.booleans()) else {}
        values["write_latency"] = draw(st.sampled_from(["worst_case", "actual"]))
        together = 2 if values.get("array.pairs") == "rows" else 1
        driven = values.get("array.dac_bits", base.array.dac_bits)
        values |= draw(readings(values["array.rows"], driven, together))
        if not coding.pairs and draw(st.booleans()):
            values["array.reference"] = "column"
    note(f"chip {base.name}: {values}")
    return base.override(values, source="drawn")


GREEDY = Strategy().with_(banks="greedy")
"""The usual strategy where banks are not the subject: integer programs take 30 times as long as the rest of compiling."""
BRIEF = {"schedule.effort": st.sampled_from([0.0, 0.01]), "schedule.time_limit_s": st.none()}
"""Settings that are drawn short: a search of a moment, and none that ends by the clock, which no two machines have alike."""


ALONE = sorted(name for name, kind in Strategy.choices("schedule").items() if not kind.flows)  # type: ignore[attr-defined]
"""Schedules of one inference after another, which any chip and network take."""


def choices(stage: str) -> st.SearchStrategy[str]:
    """Names of what can be chosen at a stage."""
    return st.sampled_from(sorted(Strategy.choices(stage)))


def _values(where: str, kind: Any, declared: Any) -> st.SearchStrategy[Any]:
    """Values that a setting takes."""
    if where in BRIEF:
        return BRIEF[where]
    if declared.among:
        return st.sampled_from(declared.among)
    if declared.examples:
        return st.sampled_from(declared.examples)
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(int(declared.least), int(min(declared.most, 2**16)))
    if kind is float:
        return st.floats(declared.least, min(declared.most, 10.0), exclude_min=declared.above)
    return st.lists(st.integers(int(declared.least), int(declared.most)), min_size=1, max_size=2, unique=True)


@st.composite
def bits_asked(draw: st.DrawFn, network: Any, chip: Chip, coding: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a coding by which layers have different bits, often none: each named, or chosen under a budget."""
    # Codes whose middle is 0 have 2 bits at least; weights of more than 8 ask for wider arrays.
    most = 16 if chip.coding_of(16).cell_columns <= chip.array.columns and coding["choice"] == "bytes" else 8
    bits = st.builds("{}/{}".format, st.integers(1 + coding.get("symmetric", False), most), st.integers(1, 8))
    if coding["choice"] == "bytes" and draw(st.sampled_from([True] * 5 + [False])):
        names = [layer.name for layer in Sampled.of(network).net.matrix_layers]
        named = draw(st.lists(st.sampled_from(names), min_size=1, max_size=len(names), unique=True))
        return {"bits": ",".join(f"{name}={draw(bits)}" for name in named)}
    if coding["choice"] == "budget" and draw(st.booleans()):
        several = draw(st.lists(bits, min_size=2, max_size=3, unique=True))
        return {"bits": tuple(several), "grid": (), "squeeze": (0,)}
    return {}


def _rows_fit(network: Any, chip: Chip, stream: Strategy) -> bool:
    """Whether the buffers hold the rows that a stream keeps, which shows only once it is placed."""
    try:
        mho.compile(network, chip, stream)
    except MappingError as error:
        if "bytes of rows" not in str(error):
            raise
        return False
    return True


@st.composite
def strategies(draw: st.DrawFn, network: Any, chip: Chip, **fixed: Any) -> Strategy:
    """A choice of every stage with settings of its own; what is not allowed becomes the usual choice, a drawn stage's last."""
    usual, changes = Strategy(), dict(fixed)
    kept = draw(st.sampled_from(sorted(STAGES)))
    for stage in STAGES:
        if stage not in fixed:
            name = draw(choices(stage))
            changes[stage] = {"choice": name}
            for key, (kind, declared) in Strategy.choices(stage)[name].settings().items():
                changes[stage][key] = draw(_values(f"{stage}.{key}", kind, declared))
            if stage == "coding":
                changes[stage] |= draw(bits_asked(network, chip, changes[stage]))
    if "mapping" not in fixed and changes["mapping"]["choice"] == "basis":
        # A basis asks for its coding and its schedule.
        changes |= {"schedule": {"choice": "basis"}} if "schedule" not in fixed else {}
        if "coding" not in fixed:
            changes["coding"] = {"choice": "basis", **{key: draw(values) for key, values in BASES.items()}}
    chosen = usual.with_(changes)
    while refusals := chosen.refusals(network, chip):
        stage, _, setting = refusals[0].field.partition(".")
        declared = type(getattr(chosen, stage)).__dataclass_fields__.get(setting)
        if declared is not None and getattr(getattr(chosen, stage), setting) != declared.default:
            chosen = chosen.with_({f"{stage}.{setting}": declared.default})
            continue
        unusual = [other for other in STAGES if getattr(chosen, other) != getattr(usual, other)]
        if stage == kept or stage not in unusual:
            stage = min(unusual, key=lambda other: (other == kept, unusual.index(other)), default=None)
        assume(stage is not None)
        chosen = chosen.with_({stage: getattr(usual, stage)})
    if chosen.schedule.flows:
        subject = Sampled.of(network)
        codes = coded(subject, chip, chosen) if subject.has_values else None
        if mapped_by(chosen, codes or subject.net, chip).count > chip.groups or not _rows_fit(network, chip, chosen):
            chosen = chosen.with_(schedule=usual.schedule)
    note(str(chosen.to_dict()))
    return chosen
