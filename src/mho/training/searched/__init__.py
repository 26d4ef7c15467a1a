"""Recommenders that are searched: trained alone, or as parts of one supernet, and scored for what training would make of them.

supernet = Supernet(space, clicks, Budget())                    # or Supernet.load("supernet.safetensors", clicks)
supernet.train(2000, progress)                                  # `supernet.save(path)` between any two steps
score = Scorer("supernet.safetensors", "clicks.npz")            # score(model): a log loss; goes to other processes
alone = Alone(model, clicks, Budget(), seed=0)                  # a model by itself
alone.train(alone.budget.steps(clicks))
recommender = train_alone(model, clicks, seed=0)                # trained whole, in the integers of a chip
"""

from mho.training.searched.alone import Alone, Budget, train_alone
from mho.training.searched.predictor import Predictor
from mho.training.searched.refit import refitted_loss
from mho.training.searched.score import DEFAULT, SCORES, UNTRAINED, Scorer
from mho.training.searched.supernet import Supernet

__all__ = [
    "DEFAULT", "SCORES", "UNTRAINED", "Alone", "Budget", "Predictor", "Scorer", "Supernet", "refitted_loss", "train_alone",
]  # fmt: skip
