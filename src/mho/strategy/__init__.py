"""What is chosen at every stage of compiling, as data: strategies, the registry of choices, and the papers that they rest on."""

from mho.strategy.choice import Choice, Setting, choice, registered, setting, unregister
from mho.strategy.papers import bibtex, cited, paper_keys
from mho.strategy.stages import ALL_STAGES, STAGES, TABLE_STAGES, Stage
from mho.strategy.strategy import Strategy, strategies

__all__ = [
    "ALL_STAGES",
    "STAGES",
    "TABLE_STAGES",
    "Choice",
    "Setting",
    "Stage",
    "Strategy",
    "bibtex",
    "choice",
    "cited",
    "paper_keys",
    "registered",
    "setting",
    "strategies",
    "unregister",
]
