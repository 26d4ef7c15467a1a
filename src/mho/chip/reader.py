"""From the raw mapping of a chip file to a checked specification, with the provenance of every value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mho.chip.coding import Coding
from mho.chip.spec import ArraySpec, ChipSpec
from mho.quantity import Document, KnownModel, Provenance

INPUT_BITS = 8
WEIGHT_BITS = 8


def read_spec(
    document: Document, raw: Mapping[str, Any], like: KnownModel[ChipSpec] | None = None
) -> tuple[ChipSpec, dict[str, Provenance]]:
    """Read the quantities of a chip (`raw` holds the fields of ChipSpec and nothing else), and where each comes from.

    `like` is what is known of a chip that it differs from in some parts only.
    """
    spec, provenance = document.model(ChipSpec, raw, like=like)
    _check_array(document, spec.array)
    return spec, provenance


def _check_array(document: Document, array: ArraySpec) -> None:
    """Refuse arrays whose parts do not fit one another."""
    if array.cell_levels is not None and (array.cell_levels - 1).bit_length() != array.cell_bits:
        names = f"{(array.cell_levels - 1).bit_length()} bits name {array.cell_levels} levels"
        raise document.fail("array.cell_levels", f"{names}, not the {array.cell_bits} of array.cell_bits")
    if array.cell_levels is not None and array.coding == "flipped":
        text = f"coding flipped inverts digits bit by bit, and {array.cell_levels} levels are no digit of whole bits"
        raise document.fail("array.cell_levels", f"{text}; take coding offset")
    stacked = array.pairs == "rows"
    plain = Coding(array.coding, WEIGHT_BITS, array.cell_bits, array.cell_levels)
    if stacked and not plain.pairs:
        text = f"coding {array.coding} has no pairs of cells; differential and sign_magnitude have"
        raise document.fail("array.pairs", text)
    if array.reference is not None and plain.pairs:
        text = f"the cells of a pair (array.coding {array.coding}) are each other's reference; leave it out"
        raise document.fail("array.reference", text)
    coding = replace(plain, stacked=stacked)
    cells, conversions = coding.cell_columns, coding.conversions(array.columns)
    converted = "pairs of columns" if coding.columns_at_once > 1 else "columns"
    for key, wrong, text in (
        ("adcs", array.adcs > conversions, f"more ADCs ({array.adcs}) than {converted} ({conversions})"),
        (
            "columns",
            array.columns < cells,
            f"{array.columns} columns hold no {WEIGHT_BITS}-bit weight; at least {cells} in coding {array.coding}",
        ),
        (
            "pulses_full_range",
            array.pulses_full_range < coding.highest,
            f"{array.pulses_full_range} pulses cannot tell {coding.highest + 1} levels apart; at least {coding.highest}",
        ),
        ("rows", array.rows < coding.cell_rows, f"pairs of rows (array.pairs) need 2 rows, not {array.rows}"),
        (
            "rows_parallel",
            (array.rows_parallel or 2) < coding.cell_rows,
            f"both rows of a pair (array.pairs) are driven together, and so 2 rows at least, not {array.rows_parallel}",
        ),
        (
            "rows_parallel",
            (array.rows_parallel or 1) > array.rows,
            f"{array.rows_parallel} rows cannot be driven together, for an array has {array.rows}",
        ),
        (
            "integrated_bits",
            (array.integrated_bits or 8) < array.dac_bits,
            f"a step integrates the {array.dac_bits} bits of a pulse at least, not {array.integrated_bits}",
        ),
        (
            "drive",
            array.drive == "unary" and array.dac_bits > 1,
            "pulses that are all alike are of 1 bit (array.dac_bits)",
        ),
    ):
        if wrong:
            raise document.fail(f"array.{key}", text)
