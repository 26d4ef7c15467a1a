"""Whole recommenders: embedding tables, whose rows are added up, and the dense part that scores the sums."""

from mho.machine.recommender.bags import add_up, make_trace
from mho.machine.recommender.files import load, open_real, open_recommender, save
from mho.machine.recommender.recommender import RealRecommender, Recommender, seeded_recommender
from mho.machine.recommender.scores import auc, chance, hit_rate, log_loss
from mho.machine.recommender.tables import Table

__all__ = [
    "RealRecommender",
    "Recommender",
    "Table",
    "add_up",
    "auc",
    "chance",
    "hit_rate",
    "load",
    "log_loss",
    "make_trace",
    "open_real",
    "open_recommender",
    "save",
    "seeded_recommender",
]
