"""Sums that are decided by are the same in any order, on any number of threads and with any kernels of BLAS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mho.number.reproducible import gridded, product
from mho.number.triangular import made_good, solved, upper_factor

few = settings(max_examples=25)
seeds = st.integers(0, 2**32 - 1)


@few
@given(seeds, st.integers(1, 300), st.integers(-30, 30))
def test_products_are_the_same_in_any_order_of_their_terms(seed: int, terms: int, power: int) -> None:
    generator = np.random.default_rng(seed)
    left, right = generator.standard_normal((3, terms)) * 2.0**power, generator.standard_normal((terms, 4))
    order = generator.permutation(terms)
    found = product(left, right)
    assert np.array_equal(found, product(left[:, order], right[order]))
    sizes = np.abs(left).max(axis=1)[:, None] * np.abs(right).max(axis=0)
    assert (np.abs(found - left @ right) <= 2.0**-20 * terms * sizes).all()
    integers = generator.integers(-7, 8, (3, terms)).astype(np.float64)
    assert np.array_equal(product(integers, right, 3), product(integers[:, order], right[order], 3))
    assert np.allclose(product(integers, right, 3), integers @ right, rtol=0, atol=1e-9)
    both = product(left, left.T)
    assert np.array_equal(both, both.T)


@few
@given(seeds, st.integers(1, 30))
def test_a_grid_holds_what_has_few_bits_and_moves_nothing_by_more_than_half_a_step(seed: int, bits: int) -> None:
    values = np.random.default_rng(seed).standard_normal((5, 6)) * np.array([1e-20, 1e-3, 1.0, 1e3, 0.0, 1e20])
    rounded = gridded(values, bits, axis=0)
    assert np.array_equal(gridded(rounded, bits + 1, axis=0), rounded)
    assert (np.abs(rounded - values) <= np.abs(values).max(axis=0) * 2.0**-bits).all()


@few
@given(seeds, st.sampled_from([1, 2, 5, 63, 64, 65, 130]), st.integers(1, 5))
def test_triangular_factors_solve(seed: int, size: int, columns: int) -> None:
    generator = np.random.default_rng(seed)
    spread = generator.standard_normal((size, size + 5))
    matrix, values = spread @ spread.T + 0.1 * np.eye(size), generator.standard_normal((size, columns))
    upper = upper_factor(matrix)
    assert np.array_equal(upper, np.triu(upper))
    assert np.allclose(upper @ upper.T, matrix)
    assert np.allclose(matrix @ solved(upper, values), values)
    assert np.allclose(upper.T @ made_good(upper, values), values)


DIGEST = """
import hashlib
import numpy as np
from mho.number import fit_basis
from tests.strategies import Sketch

sketch = Sketch(3, (1, 3, 9, 9))
here = sketch.convolution(sketch.layers[0], 24, 3, 1, 1, 1, 1)
here = sketch.convolution(sketch.elementwise(here, here), 16, 3, 2, 0, 1, 1)
sketch.linear(here, 6)
network = sketch.network()
samples = np.random.default_rng(1).standard_normal((40, 3, 9, 9))
fitted = fit_basis(network, samples, vectors=96, nonzeros=12)
digest = hashlib.sha256(fitted.basis.cells.tobytes())
for layer in network.matrix_layers:
    matrix = fitted.matrices[layer.name]
    for each in (matrix.codes, matrix.scale, matrix.bias):
        digest.update(np.ascontiguousarray(each).tobytes())
print(digest.hexdigest())
"""


def test_a_fit_is_the_same_on_any_number_of_threads_and_with_any_kernels() -> None:
    ways = (
        {"OPENBLAS_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "2"},
        # Kernels of an old processor, of BLAS, of numpy and of what is compiled; others than x86 know no such names.
        {"OPENBLAS_NUM_THREADS": "3", "OPENBLAS_CORETYPE": "Nehalem", "NUMBA_CPU_NAME": "generic"},
    )
    root = Path(__file__).parent.parent
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, **way},
            cwd=root,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for way in ways
    }
    assert len(digests) == 1
