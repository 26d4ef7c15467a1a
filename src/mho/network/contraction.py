"""Products of tensors of any rank: batched matrix products and Einstein sums, as linear layers and matrix products.

A label names an axis. A label of both operands and of the result is a batch; one of both operands alone is summed. Where
one operand is known its values are weights: a batch label makes independent matrices (a grouped linear layer), a label of
the weights alone makes more outputs, so (B, E, M, K) x (E, K, N) is E matrices and (B, 1, M, K) x (E, K, N) is one of
K x (E N). Axes of length 1 are broadcast, as numpy and both standards do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mho.errors import NetworkError
from mho.network.arrays import Array, computed
from mho.network.builder import Builder

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Operand:
    """A tensor of the network by its name, or a known array, and the labels of its axes."""

    value: str | Array
    labels: Labels


def matmul(builder: Builder, left: str | Array, right: str | Array, bias: Array | None = None) -> str:
    """Append left @ right (+ bias where one side is known), as numpy.matmul has it.

    A bias that is one number for each output becomes that of the linear layer, another one is added. Raises NetworkError
    for shapes that do not fit.
    """
    if isinstance(left, str) and isinstance(right, str):
        return _matmul(builder, left, right)
    a, b = map(builder.shape_of, (left, right))
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else 0]:
        raise NetworkError(f"tensors of shape {a} and {b} cannot be multiplied as matrices")
    lead = tuple(f"batch {i}" for i in range(max(len(a), len(b)) - 2))[::-1]
    rows, columns = ("rows",)[: len(a) - 1], ("columns",)[: len(b) - 1]
    first = Operand(left, (*lead[len(lead) - max(len(a) - 2, 0) :], *rows, "inner"))
    second = Operand(right, (*lead[len(lead) - max(len(b) - 2, 0) :], "inner", *columns))
    return contract(builder, (first, second), (*lead, *rows, *columns), bias)


def _matmul(builder: Builder, left: str, right: str) -> str:
    """Append the product of two tensors of the network; a vector is a matrix of one row or column."""
    a, b = builder.shape(left), builder.shape(right)
    if len(a) > 1 and len(b) > 1:
        return builder.product(left, right)
    left = left if len(a) > 1 else builder.reshape(left, (1, *a), "reshape")
    right = right if len(b) > 1 else builder.reshape(right, (*b, 1), "reshape")
    product = builder.product(left, right, "product")
    shape = builder.shape(product)
    shape = shape if len(a) > 1 else (*shape[:-2], shape[-1])
    return builder.reshape(product, shape if len(b) > 1 else shape[:-1])


def einsum(builder: Builder, equation: str, values: Sequence[str | Array]) -> str:
    """Append an Einstein sum. Raises NetworkError for an equation that does not fit its operands."""
    shapes = [builder.shape_of(value) for value in values]
    terms, result = parse(equation, shapes)
    return contract(builder, tuple(map(Operand, values, terms)), result)


def parse(equation: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[Labels], Labels]:
    """Read an equation: the labels of each operand and of the result; the axes of an ellipsis are ".0", ".1" ... from the last."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise NetworkError(f"equation {equation!r} has {len(terms)} terms for {len(shapes)} operands")
    longest = max(
        len(shape) - len(term.replace("...", "")) if "..." in term else 0
        for term, shape in zip(terms, shapes, strict=True)
    )

    def labels(term: str, count: int) -> Labels:
        before, dots, behind = term.partition("...")
        middle = [f".{i}" for i in range(count)][::-1] if dots else []
        if not all(letter.isalpha() for letter in before + behind):
            raise NetworkError(f"equation {equation!r}: {term!r} is not made of letters and at most one ellipsis")
        return (*before, *middle, *behind)

    operands: list[Labels] = []
    for term, shape in zip(terms, shapes, strict=True):
        rest = len(shape) - len(term.replace("...", ""))
        if rest < 0 or (rest and "..." not in term):
            raise NetworkError(f"equation {equation!r}: {term!r} does not fit a tensor of shape {shape}")
        operands.append(labels(term, rest))
    if arrow:
        result = labels(right, longest)
    else:
        every = [label for term in operands for label in term]
        once = sorted(label for label in set(every) if label[0] != "." and every.count(label) == 1)
        result = (*labels("...", longest), *once)
    known = {label for term in operands for label in term}
    if len(set(result)) != len(result) or not known.issuperset(result):
        raise NetworkError(f"equation {equation!r}: each label of the result stands there once, and in an operand")
    return operands, result


def contract(builder: Builder, operands: Sequence[Operand], result: Labels, bias: Array | None = None) -> str:
    """Append the sum of products over all labels that are not in `result`, operand after operand.

    Raises NetworkError where lengths of a label differ.
    """
    sizes: dict[str, int] = {}
    for operand in operands:
        for label, size in zip(operand.labels, builder.shape_of(operand.value), strict=True):
            if sizes.setdefault(label, size) != size and 1 not in (size, sizes[label]):
                raise NetworkError(f"an axis is {sizes[label]} long in one operand and {size} in another")
            sizes[label] = max(size, sizes[label])
    state = _Contraction(builder, sizes)
    todo = [state.prepared(operand) for operand in operands]
    done = todo.pop(0)
    while todo:
        following = todo.pop(0)
        needed = set(result).union(*(operand.labels for operand in todo))
        last = not todo
        ordered = tuple(dict.fromkeys((*done.labels, *following.labels)))
        remaining = result if last else tuple(label for label in ordered if label in needed)
        done = state.pair(done, following, remaining, bias if last else None)
        bias = None if last else bias
    return state.single(done, result)


@dataclass(frozen=True)
class _Contraction:
    """The lengths of all labels, and the builder that layers are appended to."""

    builder: Builder
    sizes: dict[str, int]

    def size(self, labels: Labels) -> int:
        """Return the number of elements over labels."""
        return math.prod(self.sizes[label] for label in labels)

    def shape(self, labels: Labels) -> tuple[int, ...]:
        """Return the lengths of labels."""
        return tuple(self.sizes[label] for label in labels)

    def prepared(self, operand: Operand) -> Operand:
        """Take the diagonal of labels that stand twice, and drop axes of length 1 that are broadcast."""
        while len(set(operand.labels)) < len(operand.labels):
            label = next(label for label in operand.labels if operand.labels.count(label) > 1)
            operand = self._diagonal(operand, label)
        shape = self.builder.shape_of(operand.value)
        axes = tuple(i for i, label in enumerate(operand.labels) if shape[i] == self.sizes[label])
        if len(axes) == len(shape):
            return operand
        labels, small = tuple(operand.labels[i] for i in axes), tuple(shape[i] for i in axes)
        if isinstance(operand.value, str):
            return Operand(self.builder.reshape(operand.value, small, "reshape"), labels)
        return Operand(_squeezed(operand.value, axes), labels)

    def _diagonal(self, operand: Operand, label: str) -> Operand:
        """Take the elements with equal places along the first two axes called `label`."""
        first, second = [i for i, other in enumerate(operand.labels) if other == label][:2]
        others = [i for i in range(len(operand.labels)) if i not in (first, second)]
        labels = (*(operand.labels[i] for i in others), label)
        if isinstance(operand.value, Array):
            return Operand(
                computed(lambda v: np.diagonal(v, axis1=first, axis2=second), self.shape(labels), operand.value), labels
            )
        shape, n = self.builder.shape(operand.value), self.sizes[label]
        x = self.builder.transpose(operand.value, (*others, first, second), "diagonal")
        x = self.builder.reshape(x, (*(shape[i] for i in others), n * n), "diagonal")
        return Operand(self.builder.slice(x, -1, 0, n * n, n + 1, part="diagonal"), labels)

    def single(self, operand: Operand, result: Labels) -> str:
        """Sum one operand over the labels that are not in the result, and put the others in order."""
        if isinstance(operand.value, Array):
            raise NetworkError("a product of known values has no layer")
        x, gone = operand.value, [i for i, label in enumerate(operand.labels) if label not in result]
        labels = tuple(label for label in operand.labels if label in result)
        if gone:
            x = self.builder.reduce(x, "sum", gone, keep=False, part=None if labels == result else "sum")
        return self.arranged(x, labels, result, None)

    def arranged(self, x: str, labels: Labels, order: Labels, part: str | None = "transpose") -> str:
        """Permute the axes of a tensor, where that changes anything."""
        if labels == order:
            return x
        return self.builder.transpose(x, [labels.index(label) for label in order], part)

    def pair(self, first: Operand, second: Operand, result: Labels, bias: Array | None) -> Operand:
        """Contract two operands into the labels of `result`."""
        first, second = self._alone(first, second, result), self._alone(second, first, result)
        if isinstance(first.value, Array) and isinstance(second.value, Array):
            names = {label: i for i, label in enumerate(dict.fromkeys((*first.labels, *second.labels)))}
            axes = [[names[label] for label in labels] for labels in (first.labels, second.labels, result)]
            both = (first.value, second.value)
            values = computed(lambda a, b: np.einsum(a, axes[0], b, axes[1], axes[2]), self.shape(result), *both)
            return Operand(values, result)
        summed = [label for label in first.labels if label in second.labels and label not in result]
        if not summed:
            return self._outer(first, second, result)
        if isinstance(first.value, Array):
            first, second = second, first
        return (
            self._weighted(first, second, result, bias)
            if isinstance(second.value, Array)
            else self._product(first, second, result)
        )

    def _alone(self, operand: Operand, other: Operand, result: Labels) -> Operand:
        """Sum an operand over what only it has and nobody wants."""
        gone = tuple(i for i, label in enumerate(operand.labels) if label not in (*other.labels, *result))
        if not gone:
            return operand
        labels = tuple(label for i, label in enumerate(operand.labels) if i not in gone)
        if isinstance(operand.value, Array):
            return Operand(computed(lambda v: v.sum(axis=gone), self.shape(labels), operand.value), labels)
        return Operand(self.builder.reduce(operand.value, "sum", gone, keep=False, part="sum"), labels)

    def _outer(self, first: Operand, second: Operand, result: Labels) -> Operand:
        """Append an element-wise product, broadcast, where there is nothing to sum."""
        names = []
        for operand in (first, second):
            order = tuple(label for label in result if label in operand.labels)
            wide = tuple(self.sizes[label] if label in order else 1 for label in result)
            if isinstance(operand.value, Array):
                places = [operand.labels.index(label) for label in order]
                moved = computed(
                    lambda v, places=places, wide=wide: v.transpose(places).reshape(wide), wide, operand.value
                )
                names.append(self.builder.constant(moved, "constant"))
            else:
                x = self.arranged(operand.value, operand.labels, order)
                names.append(x if order == result else self.builder.reshape(x, wide, "reshape"))
        return Operand(self.builder.elementwise("multiply", names[0], names[1]), result)

    def _parts(self, first: Operand, second: Operand, result: Labels) -> tuple[Labels, Labels, Labels, Labels]:
        """Sort labels: batches, those of the first operand alone, those of the second alone, those that are summed."""
        return (
            tuple(label for label in first.labels if label in second.labels and label in result),
            tuple(label for label in first.labels if label not in second.labels),
            tuple(label for label in second.labels if label not in first.labels),
            tuple(label for label in first.labels if label in second.labels and label not in result),
        )

    def _product(self, first: Operand, second: Operand, result: Labels) -> Operand:
        """Append a product of two tensors of the network."""
        batch, rows, columns, inner = self._parts(first, second, result)
        assert isinstance(first.value, str) and isinstance(second.value, str)
        a = self.arranged(first.value, first.labels, (*batch, *rows, *inner))
        b = self.arranged(second.value, second.labels, (*batch, *inner, *columns))
        lead, sizes = self.shape(batch), [self.size(labels) for labels in (rows, inner, columns)]
        a = self._reshaped(a, (*lead, sizes[0], sizes[1]))
        b = self._reshaped(b, (*lead, sizes[1], sizes[2]))
        order = (*batch, *rows, *columns)
        product = self._reshaped(self.builder.product(a, b), self.shape(order))
        return Operand(self.arranged(product, order, result), result)

    def _weighted(self, first: Operand, second: Operand, result: Labels, bias: Array | None) -> Operand:
        """Append a product with known weights: windows x (matrices K) by matrices of K x N."""
        matrices, windows, columns, inner = self._parts(first, second, result)
        assert isinstance(first.value, str) and isinstance(second.value, Array)
        count, rows, outputs = self.size(matrices), self.size(inner), self.size(columns)
        x = self.arranged(first.value, first.labels, (*windows, *matrices, *inner))
        x = self._reshaped(x, (*(self.shape(windows) or (1,)), count * rows))
        places = [second.labels.index(label) for label in (*matrices, *columns, *inner)]
        weight = second.value.arranged(places, (count * outputs, rows))
        order = (*windows, *matrices, *columns)
        offset = None if bias is None else self._offset(bias, result, (*matrices, *columns))
        added = bias is not None and offset is None
        product = self.builder.linear(x, weight, offset, "product" if added else None, groups=count)
        product = self.arranged(self._reshaped(product, self.shape(order)), order, result)
        if bias is not None and added:
            product = self.builder.elementwise("add", product, self.builder.constant(bias, "bias"))
        return Operand(product, result)

    def _offset(self, bias: Array, result: Labels, order: Labels) -> Array | None:
        """Return a bias that broadcasts to the result as one number for each output, in their order; None where it is more."""
        shape = (1,) * (len(result) - len(bias.shape)) + bias.shape
        if len(shape) != len(result) or any(
            n > 1 and label not in order for n, label in zip(shape, result, strict=True)
        ):
            return None
        if bias.code is not None and bias.code.axis is not None:
            return bias if bias.shape == (self.size(order),) and result[-1:] == order else None
        if bias.values is None:
            return Array((self.size(order),))
        labels = tuple(label for label in result if label in order)
        values = bias.values.reshape([n for n, label in zip(shape, result, strict=True) if label in order])
        values = np.broadcast_to(values, self.shape(labels)).transpose([labels.index(label) for label in order])
        return replace(bias, shape=(self.size(order),), values=values.reshape(-1))

    def _reshaped(self, x: str, shape: tuple[int, ...]) -> str:
        return x if self.builder.shape(x) == shape else self.builder.reshape(x, shape, "reshape")


def _squeezed(array: Array, axes: Sequence[int]) -> Array:
    """Drop axes of length 1, or keep the first of several elements that are alike."""
    shape = tuple(array.shape[i] for i in axes)
    code = array.code
    if code is not None and code.axis is not None:
        if code.axis in axes:
            code = replace(code, axis=list(axes).index(code.axis))
        else:
            code = replace(code, axis=None, scale=code.scale.reshape(()), zero=code.zero.reshape(()))
    return Array(shape, None if array.values is None else array.values.reshape(shape), code)
