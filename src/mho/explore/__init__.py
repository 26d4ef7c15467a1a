"""Which design is best: ways to serve embedding look-ups on the same parts, compared on a trace that none of them has seen."""

from mho.explore.designs import DESIGNS, Design, Request, ablation, design
from mho.explore.recommendation import Recommendation, recommend

__all__ = ["DESIGNS", "Design", "Recommendation", "Request", "ablation", "design", "recommend"]
