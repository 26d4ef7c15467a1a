"""Which design is best: spaces of designs, and ways to serve embedding look-ups compared on a trace that none of them has seen.

The room is called as what it is for: mho.explore(network, chip, space).
"""

import sys
from types import ModuleType

from mho.explore.accuracy import Accuracy
from mho.explore.bisection import find
from mho.explore.change import Advice, advise
from mho.explore.comparison import Comparison
from mho.explore.designs import DESIGNS, Design, Request, ablation, design
from mho.explore.evaluation import evaluate
from mho.explore.exploration import Exploration
from mho.explore.explorer import explore
from mho.explore.finding import Finding
from mho.explore.measuring import Measuring
from mho.explore.objectives import OBJECTIVES, Limit
from mho.explore.parameters import Ordered, ordered
from mho.explore.recommendation import Recommendation, recommend
from mho.explore.space import Space
from mho.explore.sweeps import Sweep, sweep

__all__ = [
    "DESIGNS", "OBJECTIVES", "Accuracy", "Advice", "Comparison", "Design", "Exploration", "Finding", "Limit", "Measuring",
    "Ordered", "Recommendation", "Request", "Space", "Sweep", "ablation", "advise", "design", "evaluate", "explore", "find",
    "ordered", "recommend", "sweep",
]  # fmt: skip


class Room(ModuleType):
    """A module that can be called: the public function bears the room's name, and importing a room sets it on its package."""

    __call__ = staticmethod(explore)
    evaluate, find = staticmethod(evaluate), staticmethod(find)
    sweep, recommend, advise = staticmethod(sweep), staticmethod(recommend), staticmethod(advise)


sys.modules[__name__].__class__ = Room
