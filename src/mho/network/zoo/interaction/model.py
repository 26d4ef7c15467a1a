"""What every recommender's dense part answers: the names and shapes of its weights, the network they make, and a record of itself.

A model is a description: how it is built, not what it was trained to. It is asked with the number of fields (vectors of a query)
and their dimension, so that one description serves every data set. Input and output are those of `recommenders`: "vectors"
(batch, fields, width) and "score" (batch, 1), the score before the sigmoid. `width` is the dimension, and one more where the
model is `wide`: the last number of a row is then the first-order weight of its id, as in LR and FM.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from mho.errors import OptionError, choices
from mho.network.arrays import Array
from mho.network.graph import Network
from mho.network.zoo.seeds import generator
from mho.plugins import Registry

FloatArray = npt.NDArray[np.float32]
Shapes = dict[str, tuple[int, ...]]
KIND = "model"
"""The key of a record that names the kind of its model."""


@dataclass(frozen=True)
class Model(ABC):
    """A dense part by its description: a frozen dataclass whose fields are numbers, texts, or tuples of these."""

    kind: ClassVar[str]
    """Its name in MODELS."""
    wide: ClassVar[bool] = False
    """Whether each row of the tables ends in a first-order weight. A field of the models that may be either."""
    balanced: ClassVar[bool] = False
    """Whether fresh weights are scaled layer by layer on records before training, as deep products of activations ask for."""

    @property
    def name(self) -> str:
        """Return what a network of this model is called."""
        return self.kind

    def width(self, dimension: int) -> int:
        """Return the numbers of a row of the tables."""
        return dimension + 1 if self.wide else dimension

    @abstractmethod
    def weights(self, fields: int, dimension: int) -> Shapes:
        """Return names and shapes of weights, (outputs, inputs), and biases, (outputs,); a layer's end in .weight and .bias."""

    @abstractmethod
    def build(
        self,
        fields: int,
        dimension: int,
        weights: Mapping[str, FloatArray] | None = None,
        *,
        batch: int = 1,
        name: str = "",
        origin: str = "none (shapes only)",
    ) -> Network:
        """Build it; `weights` by the names that `weights` gives, None: shapes alone. OptionError for those that do not fit."""

    def layer_bits(self, fields: int, dimension: int) -> dict[str, str]:
        """Return the bits of each matrix layer as `number.quantise(bits=...)` takes them; none where the model leaves them open."""
        return {}

    def in_steps(
        self, fields: int, dimension: int, weights: Mapping[str, FloatArray], steps: FloatArray
    ) -> dict[str, FloatArray] | None:
        """Return the weights for vectors that are given in steps: `steps` (fields,) is what 1 is worth in each.

        None where weights cannot take over what steps are worth: all vectors are then given in real numbers.
        """
        return None

    def record(self) -> dict[str, Any]:
        """Return the description as JSON has it: the kind, and every field."""
        return {KIND: self.kind} | {item.name: _plain(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """Return the model of a record without its kind. OptionError for keys that it does not have, or that are missing."""
        known = {item.name for item in fields(cls)}
        for key in record:
            if key not in known:
                raise OptionError(f"model {cls.kind} has no key {key!r}; {choices(str(key), sorted(known))}")
        try:
            return cls(**{key: _frozen(value) for key, value in record.items()})
        except TypeError as error:
            raise OptionError(f"model {cls.kind}: {error}") from None

    def deviation(self, name: str, shape: tuple[int, ...], dimension: int) -> float:
        """Return the standard deviation of fresh weights: what keeps the size of numbers of variance 1, 0 for biases."""
        return 0.0 if len(shape) == 1 else math.sqrt(2.0 / shape[-1])

    def fresh(self, fields: int, dimension: int, seed: int) -> dict[str, FloatArray]:
        """Draw weights to begin training with, normal, the same on every machine for a seed."""
        drawn = {}
        for name, shape in self.weights(fields, dimension).items():
            normal = generator(seed, name).standard_normal(shape, dtype=np.float32)
            drawn[name] = normal * np.float32(self.deviation(name, shape, dimension))
        return drawn

    def arrays(self, fields: int, dimension: int, weights: Mapping[str, FloatArray] | None) -> dict[str, Array]:
        """Return the weights as arrays, by name. Raises OptionError for weights that are missing, too many or of another shape."""
        shapes = self.weights(fields, dimension)
        if weights is None:
            return {name: Array(shape) for name, shape in shapes.items()}
        if unknown := sorted(set(weights) - set(shapes)):
            raise OptionError(f"{self.name} has no weight {unknown[0]!r}; {choices(unknown[0], shapes)}")
        for name, shape in shapes.items():
            if name not in weights:
                raise OptionError(f"{self.name} lacks the weight {name!r} of shape {shape}")
            if weights[name].shape != shape:
                raise OptionError(f"{self.name}: weight {name!r} has shape {weights[name].shape}, not {shape}")
        return {name: Array.of(np.asarray(weights[name], dtype=np.float32)) for name in shapes}


@dataclass(frozen=True)
class DensePart:
    """A model for so many fields of so many numbers. Raises OptionError for sizes below 1."""

    model: Model
    fields: int
    dimension: int

    def __post_init__(self) -> None:
        """Check the sizes, by the weights that they make."""
        for value in (self.fields, self.dimension):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise OptionError(f"sizes of a dense part are whole numbers of at least 1, not {value!r}")
        self.weights()

    @property
    def width(self) -> int:
        """Return the numbers of a row of the tables."""
        return self.model.width(self.dimension)

    def weights(self) -> Shapes:
        """Return names and shapes of the weights."""
        return self.model.weights(self.fields, self.dimension)

    def layer_bits(self) -> dict[str, str]:
        """Return the bits that the model prescribes, see `Model.layer_bits`."""
        return self.model.layer_bits(self.fields, self.dimension)

    def fresh(self, seed: int) -> dict[str, FloatArray]:
        """Draw weights to begin training with."""
        return self.model.fresh(self.fields, self.dimension, seed)

    def build(
        self, weights: Mapping[str, FloatArray] | None = None, *, batch: int = 1, name: str, origin: str
    ) -> Network:
        """Build the network, see `Model.build`."""
        return self.model.build(self.fields, self.dimension, weights, batch=batch, name=name, origin=origin)

    def in_steps(self, weights: Mapping[str, FloatArray], steps: FloatArray) -> dict[str, FloatArray] | None:
        """Return the weights for vectors that are given in steps, see `Model.in_steps`."""
        return self.model.in_steps(self.fields, self.dimension, weights, steps)

    def record(self) -> dict[str, Any]:
        """Return the description as JSON has it."""
        return {KIND: self.model.record(), "fields": self.fields, "dimension": self.dimension}


MODELS: Registry[type[Model]] = Registry("interaction model", {})
"""The kinds of models by name. `interaction/__init__.py` adds those of this package; a plugin adds a class of its own."""


def of(record: Mapping[str, Any]) -> Model:
    """Return the model of a record. OptionError for a kind that there is not, and for a record that does not fit it."""
    if not isinstance(record, Mapping):
        raise OptionError(f"a model's record is a mapping, not {record!r}")
    kind = record.get(KIND)
    if kind not in MODELS:
        raise OptionError(f"unknown interaction model {kind!r}; {choices(str(kind), MODELS)}")
    return MODELS[str(kind)].read({key: value for key, value in record.items() if key != KIND})


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    """Return a value of JSON as a frozen dataclass holds it."""
    return tuple(_frozen(each) for each in value) if isinstance(value, list | tuple) else value


__all__ = ["KIND", "MODELS", "DensePart", "FloatArray", "Model", "Shapes", "of"]
