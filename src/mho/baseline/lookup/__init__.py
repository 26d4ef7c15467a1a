"""Other ways to serve embedding look-ups: other designs on the same parts, processors, and memories."""

from mho.baseline.lookup.designs import DESIGNS, Design, Request, ablation, design
from mho.baseline.lookup.recommendation import Recommendation, recommend
from mho.baseline.lookup.roofline import MEMORIES, Measured, Memory, measure_cpu

__all__ = [
    "DESIGNS", "MEMORIES", "Design", "Measured", "Memory", "Recommendation", "Request", "ablation", "design", "measure_cpu",
    "recommend",
]  # fmt: skip
