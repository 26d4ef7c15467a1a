"""What a recommender's look-ups gain: its own trace, grouped and copied by its history, served beside the naive mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mho.baseline.lookup.designs import Design, Request, design
from mho.errors import OptionError
from mho.network.trace import Statistics, Trace, Unseen, describe, statistics
from mho.report.service import Service, serve
from mho.version import __version__

SCHEMA = "mho.recommendation/1"
COMPARED = ("naive", "frequency", "nmars", "recross", "ours")


@dataclass(frozen=True, eq=False)
class Recommendation:
    """Designs made from a history, each with what it took to serve the test.

    `statistics` are of the history; `unseen`: how much of the test the history never looks up.
    """

    request: Request
    dimension: int
    statistics: Statistics
    unseen: Unseen
    designs: Mapping[str, Design]
    services: Mapping[str, Service]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready data; of each design its service as `Service.to_dict` gives it."""
        request = self.request
        return {
            "schema": SCHEMA,
            "version": __version__,
            "history": {
                "origin": request.history.origin,
                "synthetic": request.history.synthetic,
                "unseen": asdict(self.unseen),
                "statistics": self.statistics.to_dict(),
            },
            "options": {
                "dimension": self.dimension,
                "batch": request.batch,
                "budget": request.budget,
                "seed": request.seed,
            },
            "designs": {
                name: {**self.services[name].to_dict(), "design_notes": list(each.notes)}
                for name, each in self.designs.items()
            },
        }


def recommend(
    history: Trace,
    test: Trace,
    request: Request,
    *,
    dimension: int = 64,
    names: Sequence[str] = COMPARED,
    say: Callable[[str], None] = lambda text: None,
) -> Recommendation:
    """Make designs (`mho.baseline.lookup.DESIGNS`) from the history and serve the test with each.

    OptionError for an unknown design, and where history and test are of other tables; MappingError where the chip has no room.
    """
    if history.rows != test.rows:
        raise OptionError(f"the history is of tables of {history.rows} rows, the test of {test.rows}")
    say("counting what the history looks up")
    found = statistics(history)
    designs: dict[str, Design] = {}
    services: dict[str, Service] = {}
    for name in names:
        say(f"grouping rows: {name}")
        designs[name] = design(name, request)
        say(f"serving the test: {name}")
        services[name] = serve(test, designs[name].layout, designs[name].chip, dimension=dimension, batch=request.batch)
    return Recommendation(request, dimension, found, describe(history, test), designs, services)
