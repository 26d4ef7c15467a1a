"""What a joint search found (schema mho.autorac/1): the front, designs trained and measured, and what they gain over baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mho.engineering import quantity, ratio
from mho.explore.autorac.finals import COSTS
from mho.explore.autorac.judge import AIMS
from mho.files.outcome import Recorded, plain
from mho.shown import Columns, columns
from mho.version import __version__

SCHEMA = "mho.autorac/1"
SEARCHED, NAIVE, HANDMADE = "searched", "naive", "hand-made"


@dataclass(frozen=True, repr=False)
class Autorac(Recorded):
    """Recommenders, bits and chips that were searched together; told by its data alone.

    found.content["front"]         designs that none dominates, as they were judged in the search
    found.content["designs"]       those that were trained and measured, baselines among them
    found.content["factors"]       what the chosen design gains over each baseline
    """

    content: Mapping[str, Any]
    schema: ClassVar[str] = SCHEMA
    needs: ClassVar[tuple[str, ...]] = (
        "version", "data", "chip", "space", "search", "judged", "front", "designs", "chosen", "factors", "sides", "notes",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Keep the content as its file would give it back, with schema and version before it."""
        object.__setattr__(self, "content", plain({"schema": self.schema, "version": __version__, **self.content}))

    def headline(self) -> str:
        """Say what was searched."""
        content = self.content
        size = content["space"]["counts"]["different"]["exponent"]
        return f"Autorac: {content['data']['origin']} on {content['chip']}, {content['judged']:,} of 10^{size:.1f} designs or more"

    def facts(self) -> Sequence[tuple[str, str]]:
        """Return the chosen design, and what it gains over the best baseline of each kind."""
        chosen = self.chosen
        if chosen is None:
            return (("front", f"{len(self.content['front'])} designs"), ("chosen", "none that was trained"))
        lines = [
            ("front", f"{len(self.content['front'])} designs"),
            (
                f"design {chosen['name']}",
                f"test log loss {chosen['test']['log_loss']:.4f}, {quantity(chosen['latency_s'], 's')}, "
                f"{quantity(chosen['energy_j'], 'J')}, {quantity(chosen['area_m2'], 'm²')}",
            ),
        ]
        lines += [
            (
                f"over {each['over']}",
                f"speed {ratio(each['latency'])}, queries a joule {ratio(each['energy'])}, area of it {ratio(each['area'])} ours, "
                f"test log loss {each['log_loss']:+.4f}",
            )
            for each in self.content["factors"]
        ]
        if self.content["sides"] is not None and self.content["sides"]["ratio"] is not None:
            lines.append(("joint over one-sided", f"hypervolume {ratio(self.content['sides']['ratio'])}"))
        return lines

    @property
    def chosen(self) -> Mapping[str, Any] | None:
        """The searched design that factors are told of; None where none was trained."""
        return next((each for each in self.content["designs"] if each["name"] == self.content["chosen"]), None)

    def frames(self) -> Mapping[str, Callable[[], Columns]]:
        """Name the tables: `designs` trained and measured, `front` as it was judged, `factors`."""
        return {
            "designs": lambda: columns(
                {
                    "name": each["name"],
                    "kind": each["kind"],
                    "valid_log_loss": each["valid"]["log_loss"],
                    "test_log_loss": each["test"]["log_loss"],
                    "test_auc": each["test"]["auc"],
                    **{key: each[key] for key in (*COSTS, "interval_s")},
                }
                for each in self.content["designs"]
            ),
            "front": lambda: columns(
                {"number": each["number"], **{key: each[key] for key in AIMS}} for each in self.content["front"]
            ),
            "factors": lambda: columns(self.content["factors"]),
        }


def factors(chosen: Mapping[str, Any], baseline: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a design gains over a baseline: how many times less time, area and energy, and by how much the log loss of the
    test differs, as a mean of the seeds that both were trained with. Power efficiency is read as queries a joule (`energy`), or as
    that times speed (`power`).
    """
    gains = {key.rpartition("_")[0]: baseline[key] / chosen[key] for key in COSTS}
    apart = {fold: _apart(chosen["seeds"][fold], baseline["seeds"][fold]) for fold in ("valid", "test")}
    return {
        "over": baseline["name"],
        "kind": baseline["kind"],
        **gains,
        "power": gains["energy"] * gains["latency"],
        "log_loss": apart["test"],
        "valid": apart["valid"],
        "seeds": min(len(each["seeds"]["test"]) for each in (chosen, baseline)),
    }


def _apart(one: Sequence[float], two: Sequence[float]) -> float:
    """Return the difference of the means of the seeds that both have."""
    count = min(len(one), len(two))
    return sum(one[:count]) / count - sum(two[:count]) / count


__all__ = ["COSTS", "HANDMADE", "NAIVE", "SCHEMA", "SEARCHED", "Autorac", "factors"]
