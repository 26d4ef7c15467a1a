"""What a command starts from: chip, network and samples, as the options name them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self, TypeVar

from mho.errors import ChipError, NetworkError, OptionError, choices

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.network.graph import Network
    from mho.network.samples import Samples

ONNX = ".onnx"
CONFIGURATIONS = (".yaml", ".yml", ".json")
CALIBRATED_ON = 256
"""Samples of a file that activations are calibrated on, at the most; ranges hardly move beyond."""
JUDGED_ON = 500
"""Labelled samples of a file by which the centre of weights is chosen, at the most."""
SYNTHETIC_CALIBRATION = 4
"""Synthetic samples that activations are calibrated on."""


class Varied(Protocol):
    """The machine that --set changes: a chip, or another one that is read from a file."""

    def override(self, values: Mapping[str, Any], source: str) -> Self:
        """Return a variant, checked anew."""


Machine = TypeVar("Machine", bound=Varied)


def load_chip(name: str, overrides: Sequence[str] | None) -> Chip:
    """Load a chip and change what --set asks for. OptionError where that is a size that goes by a network."""
    from mho.chip import Chip
    from mho.chip.fit import copies_asked

    changes = read_changes(overrides, "tiles=48")
    if copies_asked(changes):
        raise OptionError(
            f"--set tiles={changes['tiles']}: a chip is sized to a network of layers alone (mho run, verify ...); give a number"
        )
    return overridden(Chip.load(name), changes, "--set")


def varied(machine: Machine, overrides: Sequence[str] | None, example: str) -> Machine:
    """Change what --set asks for; `example` shows what may follow it."""
    return overridden(machine, read_changes(overrides, example), "--set")


def overridden(machine: Machine, changes: Mapping[str, Any], option: str) -> Machine:
    """Change values of a machine; what cannot be is told as that of an option. ChipError naming it."""
    try:
        return machine.override(dict(changes), source="given on the command line") if changes else machine
    except ChipError as error:
        raise ChipError(f"{option}: {str(error).removeprefix('override: ')}") from None


def read_changes(overrides: Sequence[str] | None, example: str) -> dict[str, Any]:
    """Read what --set asks for: keys and their values, each key once."""
    changes: dict[str, Any] = {}
    for override in overrides or ():
        key, equals, text = (part.strip() for part in override.partition("="))
        if not (key and equals and text):
            raise OptionError(f"--set takes KEY=VALUE, such as {example}, not {override!r}")
        if key in changes:
            raise OptionError(f"--set {key} is given twice")
        changes[key] = _value(key, text)
    return changes


def _value(key: str, text: str) -> Any:
    """Read a number, a list of numbers, or a word."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    except RecursionError:
        value = {}
    parts = value if isinstance(value, list) else [value]
    if not parts or any(part is None or isinstance(part, dict | list | bool) for part in parts):
        raise OptionError(f"--set {key}: takes a number in SI units, a list of numbers or a word, not {text}")
    return value


@dataclass(frozen=True)
class ModelOptions:
    """The options that say how a model is read."""

    weights: str | None = None
    seed: int | None = None
    batch: int | None = None
    input_size: int | None = None
    sequence: int | None = None
    shape: list[str] | None = None


def draws_weights(model: str, weights: str | None, *, values: bool) -> bool:
    """Return whether weights are drawn: those of a known model or a decoder that is given none, and needs them (`values`)."""
    return Path(model).suffix.lower() != ONNX and (weights or ("seeded" if values else "none")) == "seeded"


def checked_seed(seed: int | None, *, drawn: bool) -> int:
    """Return the seed, 0 where none is given; refuse one that would change nothing."""
    if seed is not None and not drawn:
        raise OptionError(
            "--seed changes nothing here: neither weights nor samples are drawn, and no schedule is searched for "
            "(see --weights, --verify, --schedule adaptive)"
        )
    return seed or 0


def load_network(model: str, options: ModelOptions, *, values: bool) -> Network:
    """Load a model: an ONNX file, a decoder given by its configuration, or a known model.

    `values` says that its weights must have values where --weights does not tell.
    """
    from mho.network import zoo

    suffix = Path(model).suffix.lower()
    if model not in zoo.names() and Path(model).is_dir():
        raise NetworkError(f"{model} is a folder; a model is a known name (mho models), or a file: {_files()}")
    if suffix == ONNX:
        return _from_onnx(model, options)
    if options.shape:
        raise OptionError(f"--shape is for {ONNX} files; {model} takes --input-size or --sequence")
    weights = options.weights or ("seeded" if values else "none")
    if suffix in CONFIGURATIONS:
        return _decoder(model, options, weights)
    if model not in zoo.names():
        _refuse(model, zoo.names())
    if weights not in ("none", "seeded"):
        _check_weights(weights)
    return zoo.load(
        model,
        weights=weights,
        seed=options.seed or 0,
        batch=options.batch or 1,
        input_size=options.input_size,
        sequence=options.sequence,
    )


def _files() -> str:
    return f"{ONNX}, or a decoder's configuration ({', '.join(CONFIGURATIONS)})"


def _refuse(model: str, names: Sequence[str]) -> NoReturn:
    """Say why something is not a model."""
    suffix = Path(model).suffix.lower()
    if suffix == ".mho":
        raise NetworkError(f"{model} is a program, compiled already; mho verify and mho list read programs")
    if Path(model).exists():
        raise NetworkError(f"{model}: not a model file; known: {_files()}")
    if "/" in model:
        raise NetworkError(f"{model}: no such file, and no known model (mho models)")
    raise OptionError(f"unknown model {model!r}; {choices(model, names)}")


def _check_weights(weights: str) -> None:
    """Refuse weights that are neither a word that is known nor a file, before the model is built."""
    if Path(weights).is_file():
        return
    if Path(weights).name == weights and not Path(weights).suffix:
        raise OptionError(
            f"--weights {weights}: {choices(weights, ('none', 'seeded'))}, or the path of a .safetensors file"
        )
    raise OptionError(f"--weights {weights}: {'is a folder' if Path(weights).is_dir() else 'no such file'}")


def _from_onnx(model: str, options: ModelOptions) -> Network:
    from mho.network import Network
    from mho.number.batching import rebatched

    for option, given in (
        ("--weights", options.weights is not None),
        ("--input-size", options.input_size is not None),
        ("--sequence", options.sequence is not None),
    ):
        if given:
            raise OptionError(f"{option} is for known models; {model} brings its own (an axis left free: --shape)")
    shapes: dict[str, tuple[int, ...]] = {}
    for each in options.shape or ():
        name, _, text = each.rpartition("=")
        parts = text.split(",")
        if not name or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
            raise OptionError(f"--shape takes INPUT=N,N,..., such as image=1,3,224,224, not {each!r}")
        if name in shapes:
            raise OptionError(f"--shape {name} is given twice")
        shapes[name] = tuple(int(part) for part in parts)
    network = Network.from_onnx(model, shapes=shapes or None)
    return network if options.batch is None else rebatched(network, options.batch)


def _decoder(model: str, options: ModelOptions, weights: str) -> Network:
    from mho.network.zoo.configuration import read_configuration
    from mho.network.zoo.decoder import decoder

    if options.input_size is not None:
        raise OptionError("--input-size is for models that read images; a decoder takes --sequence")
    configuration = read_configuration(model)
    if options.sequence is not None:
        configuration = replace(configuration, sequence=options.sequence)
    if weights not in ("none", "seeded"):
        _check_weights(weights)
    return decoder(configuration, weights=weights, seed=options.seed or 0, batch=options.batch or 1)


@dataclass(frozen=True)
class SampleOptions:
    """The options that say which samples are executed and which set the ranges of activations."""

    data: Path | None
    calibration: Path | None
    key: Sequence[str] | None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a key without a file that it could be in."""
        if self.key and self.data is None and self.calibration is None:
            raise OptionError("--key names an array of the files given by --data and --calibration; neither is given")
        for option, path in (("--data", self.data), ("--calibration", self.calibration)):
            if path is not None and not path.is_file():
                raise OptionError(f"{option} {path}: {'is a folder' if path.is_dir() else 'no such file'}")

    @property
    def real(self) -> bool:
        """True where a file gives samples."""
        return self.data is not None or self.calibration is not None

    def executed(self, network: Network, count: int | None) -> Samples:
        """Return the samples that may be executed: the whole file, or `count` synthetic ones. See `execution_count`."""
        from mho.network.samples import load_samples, read_keys, synthetic

        count = execution_count(network, count)
        if self.data is None:
            return synthetic(network, count // network.batch, self.seed + 1)
        samples = load_samples(self.data, network, key=read_keys(self.key or (), network))
        if count > len(samples):
            raise OptionError(f"{self.data} holds {len(samples)} samples; {count} are asked for")
        return samples

    def measured(self, network: Network) -> Samples:
        """Return the samples that activations are calibrated on."""
        from mho.network.samples import load_samples, read_keys, synthetic

        path = self.calibration or self.data
        if path is None:
            return synthetic(network, SYNTHETIC_CALIBRATION, self.seed)
        samples = load_samples(path, network, key=read_keys(self.key or (), network))
        return samples.first(min(CALIBRATED_ON, len(samples)) // network.batch * network.batch or network.batch)


def execution_count(network: Network, count: int | None) -> int:
    """Return how many samples to execute: one batch where no count is given."""
    if count is not None and count % network.batch:
        raise OptionError(f"--samples {count} is no multiple of the {network.batch} samples of an inference")
    return network.batch if count is None else count
