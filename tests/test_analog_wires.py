"""Arrays with resistive wires: the laws of linear resistor networks, and every way of solving them against the nodal solve."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import nodal
from benchmarks.files import measured_part, read_json
from benchmarks.nodal import NodalSolver
from benchmarks.wires import GOAL_ERROR, PAGE, RESULTS, table
from mho.errors import AnalogError
from mho.machine.analog import wires_fast
from mho.machine.analog.wires import DRIVES, SENSES, Wiring
from mho.machine.analog.wires_direct import direct
from mho.machine.analog.wires_fast import LOAD, STATED
from mho.machine.analog.wires_lines import LANES, LineRelaxation
from mho.machine.analog.wires_modes import approximate

Floats = np.ndarray[Any, np.dtype[np.float64]]
ENDS = list(product(DRIVES, SENSES))
EXACT = 1e-11
"""Rounding allowed to sums over small arrays, relative to the largest conductance."""

laws = settings(max_examples=60)
"""The first example may have to wait for a compiler."""
resistances = st.sampled_from([0.0, 1e-12, 1e-4, 0.02, 0.5, 10.0])
wirings = st.builds(Wiring, resistances, resistances, st.sampled_from(DRIVES), st.sampled_from(SENSES))


@st.composite
def arrays(draw: st.DrawFn) -> Floats:
    """Draw conductances of up to 7 x 7 cells, in units of the largest, some of them 0."""
    shape = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    held = generator.random(shape) < draw(st.sampled_from([0.2, 0.7, 1.0]))
    return np.asarray(generator.random(shape) * held)


def dense(conductances: Floats, wiring: Wiring) -> Floats:
    """Solve Kirchhoff's current law with all resistances > 0, resistor by resistor, in one dense matrix; returns G_eff.

    Sensed currents are those through the last segments, not those of the cells.
    """
    rows, columns = conductances.shape
    count = 2 * rows * columns
    matrix = np.zeros((count, count))
    sources = np.zeros((count, rows))
    sensing = np.zeros((columns, count))

    def word(i: int, j: int) -> int:
        return i * columns + j

    def bit(i: int, j: int) -> int:
        return rows * columns + j * rows + i

    def join(one: int, other: int, siemens: float) -> None:
        for here, there in ((one, other), (other, one)):
            matrix[here, here] += siemens
            matrix[here, there] -= siemens

    for i in range(rows):
        for j in range(columns):
            join(word(i, j), bit(i, j), conductances[i, j])
            if j:
                join(word(i, j - 1), word(i, j), 1 / wiring.row)
            if i:
                join(bit(i - 1, j), bit(i, j), 1 / wiring.column)
    for i in range(rows):
        for end, j in (("left", 0), ("right", columns - 1)):
            if wiring.drive in (end, "both"):
                matrix[word(i, j), word(i, j)] += 1 / wiring.row
                sources[word(i, j), i] += 1 / wiring.row
    for j in range(columns):
        for end, i in (("top", 0), ("bottom", rows - 1)):
            if wiring.sense in (end, "both"):
                matrix[bit(i, j), bit(i, j)] += 1 / wiring.column
                sensing[j, bit(i, j)] += 1 / wiring.column
    return np.asarray((sensing @ np.linalg.solve(matrix, sources)).T)


@pytest.mark.parametrize("drive, sense", ENDS)
def test_nodal_solve_equals_an_independent_dense_solve_of_4_by_4(drive: str, sense: str) -> None:
    generator = np.random.default_rng(4)
    for row, column in ((1.0, 1.0), (0.3, 5.0), (1e4, 2e3)):
        conductances = np.exp(generator.uniform(np.log(1e-6), np.log(1e-4), (4, 4)))
        wiring = Wiring(row, column, drive, sense)
        expected = dense(conductances, wiring)
        for found in (nodal.effective(conductances, wiring), direct(conductances, wiring)):
            assert np.abs(found - expected).max() <= 1e-9 * expected.max()


def test_nodal_solve_equals_an_independent_dense_solve_of_64_by_64() -> None:
    # A dense matrix of all 8,192 unknowns takes a minute, so the word lines are eliminated one by one, in dense matrices again.
    generator = np.random.default_rng(64)
    conductances = generator.uniform(1e-6, 1e-4, (64, 64))
    for drive, sense in (("left", "both"), ("both", "top")):
        wiring = Wiring(2.0, 3.0, drive, sense)
        expected = dense_by_lines(conductances, wiring)
        inputs = generator.random((3, 64))
        found = nodal.currents(conductances, inputs, wiring)
        assert np.abs(found - inputs @ expected).max() <= 1e-9 * np.abs(found).max()
        assert np.abs(direct(conductances, wiring) - expected).max() <= 1e-9 * expected.max()


def dense_by_lines(conductances: Floats, wiring: Wiring) -> Floats:
    """Return G_eff by dense inverses of the word lines and numpy.linalg.solve of the bit lines that they leave (4,096 nodes)."""
    rows, columns = conductances.shape

    def laplacian(nodes: int, resistance: float, first: bool, last: bool) -> Floats:
        edges = np.diff(np.eye(nodes), axis=0)
        found = edges.T @ edges
        found[0, 0] += first
        found[-1, -1] += last
        return np.asarray(found / resistance)

    left, right = wiring.drive != "right", wiring.drive != "left"
    top, bottom = wiring.sense != "bottom", wiring.sense != "top"
    along = laplacian(columns, wiring.row, left, right)
    matrix = np.kron(laplacian(rows, wiring.column, top, bottom), np.eye(columns)).reshape(rows, columns, rows, columns)
    sources = np.zeros((rows, columns, rows))
    for i, cells in enumerate(conductances):
        inverse = np.linalg.inv(along + np.diag(cells))
        matrix[i, :, i, :] += np.diag(cells) - cells[:, None] * inverse * cells
        drive = np.zeros(columns)
        drive[0] += left / wiring.row
        drive[-1] += right / wiring.row
        sources[i, :, i] = cells * (inverse @ drive)
    solved = np.linalg.solve(matrix.reshape(rows * columns, -1), sources.reshape(rows * columns, rows))
    below = solved.reshape(rows, columns, rows)
    return np.asarray((top * below[0] + bottom * below[-1]).T / wiring.column)


@laws
@given(arrays(), wirings)
def test_direct_and_nodal_solve_agree(conductances: Floats, wiring: Wiring) -> None:
    assert np.allclose(direct(conductances, wiring), nodal.effective(conductances, wiring), rtol=0, atol=EXACT)


@laws
@given(arrays(), st.sampled_from(ENDS))
def test_zero_resistance_is_ideal_exactly(conductances: Floats, ends: tuple[str, str]) -> None:
    wiring = Wiring(0.0, 0.0, *ends)
    inputs = np.linspace(-1, 1, len(conductances))
    assert np.array_equal(nodal.effective(conductances, wiring), conductances)
    assert np.array_equal(nodal.currents(conductances, inputs, wiring), inputs @ conductances)
    assert np.array_equal(wires_fast.currents(conductances, inputs, wiring), inputs @ conductances)
    for method in wires_fast.METHODS:
        assert np.array_equal(wires_fast.effective(conductances, wiring, method), conductances)
    # The equations themselves say so too, not only the shortcut.
    assert np.allclose(NodalSolver(conductances, wiring).currents(np.eye(len(conductances))), conductances, rtol=1e-13)
    assert np.allclose(direct(conductances, wiring), conductances, rtol=1e-13)
    assert np.allclose(approximate(conductances, wiring)[0], conductances, rtol=1e-13)


@laws
@given(arrays(), wirings, st.integers(0, 2**32 - 1))
def test_currents_are_linear_in_the_inputs(conductances: Floats, wiring: Wiring, seed: int) -> None:
    one, other = np.random.default_rng(seed).normal(size=(2, 3, len(conductances)))
    solver = NodalSolver(conductances, wiring)
    assert np.allclose(
        solver.currents(2 * one - 3 * other), 2 * solver.currents(one) - 3 * solver.currents(other), atol=EXACT
    )
    assert np.allclose(solver.currents(one), one @ wires_fast.effective(conductances, wiring), atol=EXACT)


@laws
@given(arrays(), wirings)
def test_transposing_the_array_and_swapping_ends_gives_the_same(conductances: Floats, wiring: Wiring) -> None:
    swapped = wiring.transposed()
    assert swapped.transposed() == wiring
    there, back = nodal.effective(conductances, wiring), nodal.effective(conductances.T, swapped)
    assert np.allclose(there, back.T, rtol=0, atol=EXACT)
    # The approximation as well, less exactly where functions of its basis coincide in an array with few cells.
    there, back = approximate(conductances, wiring)[0], approximate(np.ascontiguousarray(conductances.T), swapped)[0]
    assert np.allclose(there, back.T, rtol=0, atol=1e-6)


@laws
@given(arrays(), wirings)
def test_mirroring_the_array_and_its_ends_gives_the_same(conductances: Floats, wiring: Wiring) -> None:
    other = {"left": "right", "right": "left", "top": "bottom", "bottom": "top", "both": "both"}
    mirrored = Wiring(wiring.row, wiring.column, other[wiring.drive], other[wiring.sense])
    assert np.allclose(
        direct(conductances, wiring),
        direct(np.ascontiguousarray(conductances[::-1, ::-1]), mirrored)[::-1, ::-1],
        atol=EXACT,
    )


@laws
@given(arrays(), wirings)
def test_currents_never_exceed_the_ideal_and_never_turn_round(conductances: Floats, wiring: Wiring) -> None:
    # All rows at 1 V, no column gets more than from ideal wires (sums over rows); one row alone at 1 V, all columns together get no
    # more (sums over columns). A single cell may seem to conduct more than it does: current finds its way through others.
    found = nodal.effective(conductances, wiring)
    assert (found >= -EXACT).all()
    assert (found.sum(axis=0) <= conductances.sum(axis=0) + EXACT).all()
    assert (found.sum(axis=1) <= conductances.sum(axis=1) + EXACT).all()


@laws
@given(arrays(), wirings, st.floats(1, 10), st.floats(1, 10))
def test_more_resistance_never_means_more_power(
    conductances: Floats, wiring: Wiring, across: float, down: float
) -> None:
    # Rayleigh's monotonicity law: what a network of resistors conducts between terminals never grows with a resistance.
    # All drivers at 1 V make one terminal of them, the sense amplifiers the other.
    more = Wiring(wiring.row * across, wiring.column * down, wiring.drive, wiring.sense)
    assert nodal.effective(conductances, more).sum() <= nodal.effective(conductances, wiring).sum() + EXACT


@laws
@given(arrays(), st.sampled_from(ENDS), st.floats(0.01, 3), st.floats(0.01, 3), st.integers(0, 2**32 - 1))
def test_power_supplied_is_power_dissipated(
    conductances: Floats, ends: tuple[str, str], row: float, column: float, seed: int
) -> None:
    wiring = Wiring(row, column, *ends)
    voltage = np.random.default_rng(seed).normal(size=len(conductances))
    (a,), (b,) = NodalSolver(conductances, wiring).voltages(voltage[None])
    supplied, dissipated = 0.0, float((conductances * (a - b) ** 2).sum())
    for end, node in zip(wiring.driven, (a[:, 0], a[:, -1]), strict=True):
        supplied += float((end * voltage * (voltage - node) / row).sum())
        dissipated += float((end * (voltage - node) ** 2 / row).sum())
    dissipated += float((np.diff(a, axis=1) ** 2).sum() / row + (np.diff(b, axis=0) ** 2).sum() / column)
    for end, node in zip(wiring.sensed, (b[0], b[-1]), strict=True):
        dissipated += float((end * node**2).sum() / column)
    assert supplied == pytest.approx(dissipated, rel=1e-9, abs=1e-12)


@laws
@given(arrays(), wirings, st.integers(1, LANES + 2), st.sampled_from([1e-3, 1e-6, 1e-9]), st.integers(0, 2**32 - 1))
def test_relaxation_is_within_the_tolerance_that_it_claims(
    conductances: Floats, wiring: Wiring, batch: int, tolerance: float, seed: int
) -> None:
    inputs = np.random.default_rng(seed).normal(size=(batch, len(conductances)))
    inputs[0] = 0.0
    exact = nodal.currents(conductances, inputs, wiring)
    allowed = tolerance * np.abs(exact).max(axis=1, keepdims=True) * (1 + 2 * tolerance) + 1e-15
    for limit in (1, 2, 5, 60):
        found, reached = LineRelaxation(conductances, wiring).currents(inputs, tolerance, limit)
        assert reached[0]
        assert (np.abs(found - exact)[reached] <= np.broadcast_to(allowed, found.shape)[reached]).all()
    found = wires_fast.currents(conductances, inputs, wiring, tolerance)
    assert (np.abs(found - exact) <= allowed).all()


def test_relaxation_converges_on_common_arrays_and_says_so_where_it_does_not() -> None:
    generator = np.random.default_rng(1)
    conductances = generator.uniform(1e-6, 1e-4, (64, 64))
    inputs = generator.random((5, 64))
    common = LineRelaxation(conductances, Wiring(2.0, 2.0))
    _, reached = common.currents(inputs, 1e-6, 12)
    assert reached.all()
    _, reached = common.currents(inputs, 1e-6, 2)
    assert not reached.any()
    # Hopeless for relaxation: what is returned is solved directly.
    harsh = Wiring(1e6, 1e6)
    assert LineRelaxation(conductances, harsh).steps(1e-6) > 100
    exact = inputs @ nodal.effective(conductances, harsh)
    assert np.allclose(wires_fast.currents(conductances, inputs, harsh), exact, rtol=1e-9)


@pytest.mark.parametrize("load, error", STATED)
def test_approximation_is_within_its_stated_error(load: float, error: float) -> None:
    generator = np.random.default_rng(7)
    uniform = generator.uniform(1e-6, 1e-4, (96, 64))
    few = uniform * (generator.random(uniform.shape) < 0.1)
    inputs = np.concatenate([generator.integers(0, 2, (16, 96)), np.ones((1, 96))]).astype(float)
    checked = 0
    for conductances, ends, ohm in product(
        (uniform, few), (("left", "bottom"), ("both", "top")), (0.1, 0.5, 2.0, 10.0)
    ):
        wiring = Wiring(ohm, 2 * ohm, *ends)
        found, own = approximate(conductances, wiring)
        if own <= load:
            exact = direct(conductances, wiring)
            checked += 1
            assert np.abs(inputs @ (found - exact)).max() <= error * (inputs @ conductances).max()
            assert np.array_equal(wires_fast.effective(conductances, wiring, "fast"), found)
    assert checked >= 3


def test_approximation_gives_way_to_the_exact_solve_beyond_its_range() -> None:
    conductances = np.full((48, 48), 1e-4)
    wiring = Wiring(100.0, 100.0)
    assert approximate(conductances, wiring)[1] > LOAD
    assert np.array_equal(
        wires_fast.effective(conductances, wiring, "fast"), wires_fast.effective(conductances, wiring)
    )
    small = conductances[:8, :8]
    assert np.array_equal(wires_fast.effective(small, wiring, "fast"), wires_fast.effective(small, wiring))


@laws
@given(arrays(), resistances, st.sampled_from(ENDS))
def test_approximation_is_exact_where_one_direction_has_no_resistance(
    conductances: Floats, resistance: float, ends: tuple[str, str]
) -> None:
    for wiring in (Wiring(resistance, 0.0, *ends), Wiring(0.0, resistance, *ends)):
        assert np.allclose(approximate(conductances, wiring)[0], nodal.effective(conductances, wiring), atol=EXACT)


def test_an_array_without_conductance_gives_no_current() -> None:
    nothing = np.zeros((40, 40))
    for method in wires_fast.METHODS:
        assert not wires_fast.effective(nothing, Wiring(1.0, 1.0), method).any()


def test_level_units_and_siemens_give_the_same() -> None:
    levels = np.random.default_rng(3).integers(0, 4, (6, 5)).astype(float)
    unit = 3e-5
    siemens = nodal.effective(levels * unit, Wiring(4.0, 2.0))
    assert np.allclose(nodal.effective(levels, Wiring(4.0 * unit, 2.0 * unit)) * unit, siemens, rtol=1e-12)


@pytest.mark.parametrize(
    "arguments, said",
    [
        ((-1.0, 0.0), "row segment.*at least 0"),
        ((0.0, float("nan")), "column segment.*finite"),
        ((float("inf"), 0.0), "finite"),
        ((True, 0.0), "not a number"),
        (("1", 0.0), "not a number"),
        ((0.0, 0.0, "top"), "drive: 'top' is not an end.*left"),
        ((0.0, 0.0, "left", "under"), "sense: 'under' is not an end.*bottom"),
    ],
)
def test_wirings_that_cannot_be_are_refused(arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(AnalogError, match=said):
        Wiring(*arguments)


@pytest.mark.parametrize("bad", [[[1.0, float("nan")]], [[-1.0]], [1.0, 2.0], [[]], "text", [[1.0], [1.0, 2.0]], 3.0])
def test_conductances_that_cannot_be_are_refused(bad: Any) -> None:
    for row in (0.0, 1.0):
        wiring = Wiring(row, 0.0)
        for solve in (nodal.effective, wires_fast.effective):
            with pytest.raises(AnalogError, match="conductances"):
                solve(bad, wiring)
        for solve_inputs in (nodal.currents, wires_fast.currents):
            with pytest.raises(AnalogError, match="conductances"):
                solve_inputs(bad, [1.0], wiring)


def test_inputs_methods_and_tolerances_that_cannot_be_are_refused() -> None:
    conductances = np.ones((3, 2))
    for wiring, solve in product((Wiring(0.0, 0.0), Wiring(0.1, 0.1)), (nodal.currents, wires_fast.currents)):
        for bad in ([1.0, 2.0], [[1.0, 2.0, float("inf")]], 1.0, "text"):
            with pytest.raises(AnalogError, match="inputs"):
                solve(conductances, bad, wiring)
    for tolerance in (0.0, -1e-6, 2.0, float("nan"), True, "1"):
        with pytest.raises(AnalogError, match="tolerance"):
            wires_fast.currents(conductances, np.ones(3), Wiring(1.0, 1.0), tolerance)  # type: ignore[arg-type]
    with pytest.raises(AnalogError, match=r"method: 'quick'.*exact"):
        wires_fast.effective(conductances, Wiring(1.0, 1.0), "quick")


def test_shapes_of_inputs_are_kept() -> None:
    generator = np.random.default_rng(2)
    conductances, inputs = generator.random((3, 4)), generator.random((2, 5, 3))
    wiring = Wiring(0.1, 0.2, "both", "top")
    for solve in (nodal.currents, wires_fast.currents):
        found = solve(conductances, inputs, wiring)
        assert found.shape == (2, 5, 4)
        assert np.allclose(found[1, 2], solve(conductances, inputs[1, 2], wiring))
        assert solve(conductances, inputs[:0], wiring).shape == (0, 5, 4)


def test_resistance_times_conductance_beyond_floating_point_is_an_error() -> None:
    with pytest.raises(AnalogError, match="too large"):
        wires_fast.effective(np.full((2, 2), 1e300), Wiring(1e300, 1e300))


def test_the_page_shows_what_was_measured_and_the_stated_errors_cover_it() -> None:
    results = read_json(RESULTS)
    assert measured_part(PAGE.read_text(encoding="utf-8")) == table(results)
    for entry in results["error"]:
        for load, error in STATED:
            assert entry["load"] > load or entry["current"] <= error
    assert all(entry["error"] <= GOAL_ERROR for entry in results["speed"])
