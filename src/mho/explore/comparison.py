"""Reports side by side, as data (schema mho.comparison/1): each is a record, and the others are told against the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mho.engineering import quantity
from mho.errors import OptionError
from mho.explore.exploration import Exploration
from mho.machine.bill import KINDS
from mho.machine.report import Report
from mho.machine.robustness import robust
from mho.shown import Columns, columns


class Comparison(Exploration):
    """Several reports, of which the others are told against the first; `measured` are the reports themselves."""

    schema = "mho.comparison/1"
    within = "reports"
    needs = ("reports",)

    @classmethod
    def between(cls, *reports: Report, uncertainty: bool = False) -> Comparison:
        """Return the comparison of reports. OptionError where there is none.

        `uncertainty`: with how sure the energies are, each against the first (`mho.robust`), under `sure` in its data.
        """
        if not reports:
            raise OptionError("a comparison needs at least one report")
        records = [report.to_dict() for report in reports]
        if not uncertainty:
            return cls({"reports": records}, reports)
        sure = robust(dict(zip(named(records)[1], reports, strict=True)))
        return cls({"reports": records, "sure": sure.to_dict()}, reports)

    def headline(self) -> str:
        """Say what is compared."""
        common, labels = named(self.records)
        return f"Comparison: {common}: {', '.join(labels)}"

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return the time of each."""
        labels = named(self.records)[1]
        return tuple(
            (label, quantity(record["latency_s"], "s")) for label, record in zip(labels, self.records, strict=True)
        )

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the table: `reports`, one a row, in SI units."""
        names = ("schedule", "latency_s", "throughput_per_s", "lower_bound_s", "bound_ratio")
        return {
            "reports": lambda: columns(
                {
                    "chip": content["chip"]["name"],
                    **{key: content[key] for key in names},
                    "energy_j": content["energy_j"]["total"],
                    "area_m2": content["area_m2"]["total"],
                    **{f"{kind}_j": content["energy_j"]["by_kind"][kind] for kind in KINDS},
                    "pulses": content["writes"]["pulses"],
                }
                for content in self.records
            )
        }


def named(contents: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """Say what all reports have in common, and name each by what it does not share with the others."""
    keys = {
        "model": [str(content["model"]["name"]) for content in contents],
        "chip": [str(content["chip"]["name"]) for content in contents],
    }
    # Variants of one chip bear the same name; their digests tell them apart.
    digests = [str(content["chip"]["digest"]) for content in contents]
    if len(set(digests)) > len(set(keys["chip"])):
        keys["chip"] = [f"{name} {digest[:6]}" for name, digest in zip(keys["chip"], digests, strict=True)]
    common = {key: values[0] for key, values in keys.items() if len(set(values)) == 1}
    labels = []
    for i, content in enumerate(contents):
        differing = [values[i] for key, values in keys.items() if key not in common]
        labels.append(" ".join([*differing, str(content["schedule"])]))
    return " on ".join(common.values()), labels
