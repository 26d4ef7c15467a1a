"""What an area budget allows: instances over the fewest groups that hold every row once."""

from __future__ import annotations

import math
from fractions import Fraction

from mho.errors import OptionError
from mho.mapping.embedding.layout import Layout


def instances_within(layout: Layout, budget: float) -> int:
    """Return the most instances that a budget allows; OptionError where the layout takes more, or for no number from 1."""
    if isinstance(budget, bool) or not isinstance(budget, int | float) or not math.isfinite(budget) or budget < 1:
        raise OptionError(f"an area budget is a number from 1, not {budget!r}")
    # The decimal that was written, not the binary number next to it: 1.15 of 100 groups are 115.
    allowed = int(Fraction(str(float(budget))) * layout.least_groups)
    if allowed < layout.instances:
        raise OptionError(
            f"an area budget of {budget:g} is {allowed} groups, but the layout takes {layout.instances} "
            f"({layout.area_ratio:.4g}) already"
        )
    return allowed
