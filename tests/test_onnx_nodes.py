"""onnx's own tests of its operators, through the importer and the float network: right, or refused with a reason.

Each test is one node with its inputs and outputs, many a second time with the operator spelt out by others ("_expanded").
Inputs that say how (a shape, axes, scales) are inputs of these files too; with all but the first held (`values`), more are right.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import mho
from mho.errors import MhoError
from mho.number.reference import run_float

RIGHT = 0.495
"""Share of tests that are right as they are: 941 of 1,884 in onnx 1.23; others are of strings, sequences, images, training."""
RIGHT_WITH_VALUES = 0.7
"""With all inputs but the first held: 1,328."""
CONTRADICTED = {
    "test_resize_downsample_scales_linear_align_corners",
    "test_resize_downsample_scales_cubic_align_corners",
}
"""Outputs that onnxruntime contradicts too: it takes the resized length, which is whole, where the test takes scale x length."""
ROUNDED = {np.dtype(np.float16): 2e-3}
"""Tolerance where the file's own type is coarser than float32: mho does not round between operators."""


def cases() -> Iterator[Any]:
    """All tests of nodes that the onnx package holds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_model_tests

        yield from load_model_tests(kind="node")


def plain(item: Any) -> np.ndarray | None:
    """An array of numbers; None for strings, sequences and what else mho has no tensor for."""
    array = numpy_helper.to_array(item) if isinstance(item, onnx.TensorProto) else item
    return array if isinstance(array, np.ndarray | np.generic) and array.dtype.kind in "fiubV" else None


def agrees(found: np.ndarray, wanted: np.ndarray, case: Any) -> bool:
    """Shape, type (for integers and truths) and values."""
    if found.shape != wanted.shape or (wanted.dtype.kind in "biu" and found.dtype != wanted.dtype):
        return False
    coarse = ROUNDED.get(wanted.dtype, 0.0)
    return np.allclose(
        found.astype(np.float64), wanted.astype(np.float64), rtol=max(case.rtol, coarse), atol=max(1e-6, coarse),
        equal_nan=True,
    )  # fmt: skip


def outcome(case: Any, path: Path, *, held: bool) -> str:
    """Run one test: "right", "wrong", "refused", or the name of an error that is no refusal."""
    path.write_bytes(case.model.SerializeToString())
    inputs, outputs = ([plain(item) for item in items] for items in case.data_sets[0])
    names = [value.name for value in case.model.graph.input]
    given = dict(zip(names, inputs, strict=False))
    try:
        if any(array is None for array in (*inputs, *outputs)):
            mho.Network.from_onnx(path)
            return "refused"
        values = {name: given[name] for name in names[1:]} if held else {}
        shapes = {name: array.shape for name, array in given.items() if name not in values}
        network = mho.Network.from_onnx(path, values=values, shapes=shapes)
        made = run_float(network, [given[layer.name] for layer in network.inputs])
    except MhoError as error:
        return "refused" if str(error) and "\n" not in str(error) else "a refusal of several lines"
    except Exception as error:
        return f"{case.name}: {type(error).__name__}"
    assert list(made) == [value.name for value in case.model.graph.output]
    if case.name in CONTRADICTED:
        return "contradicted"
    right = all(agrees(*pair, case) for pair in zip(made.values(), outputs, strict=True))
    return "right" if right else f"{case.name}: wrong"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Counter[str]]:
    path = tmp_path_factory.mktemp("nodes") / "node.onnx"
    counts: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    for case in cases():
        first = outcome(case, path, held=False)
        counts[False][first] += 1
        counts[True][outcome(case, path, held=True) if first == "refused" else first] += 1
    return counts


@pytest.mark.parametrize(("held", "least"), [(False, RIGHT), (True, RIGHT_WITH_VALUES)])
def test_nodes_are_right_or_refused(results: dict[bool, Counter[str]], held: bool, least: float) -> None:
    counts = results[held]
    assert set(counts) <= {"right", "refused", "contradicted"}
    assert counts["right"] >= least * counts.total()
