"""From the raw mapping of a chip file to a checked specification, with the provenance of every value."""

from __future__ import annotations

from collections.abc import Mapping
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
    coding = Coding(array.coding, WEIGHT_BITS, array.cell_bits)
    cells, conversions = coding.cells, coding.conversions(array.columns)
    converted = "pairs of columns" if coding.pairs else "columns"
    for key, wrong, text in (
        ("adcs", array.adcs > conversions, f"more ADCs ({array.adcs}) than {converted} ({conversions})"),
        (
            "columns",
            array.columns < cells,
            f"{array.columns} columns hold no {WEIGHT_BITS}-bit weight; at least {cells} in coding {array.coding}",
        ),
        (
            "pulses_full_range",
            array.pulses_full_range < 2**array.cell_bits - 1,
            f"{array.pulses_full_range} pulses cannot tell {2**array.cell_bits} levels apart; "
            f"at least {2**array.cell_bits - 1}",
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
