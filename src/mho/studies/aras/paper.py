"""The figures that ARAS prints, and the study's texts, read from paper.yaml beside this file."""

from __future__ import annotations

from mho.studies.printed import Paper
from mho.studies.work import Work

PAPER = Paper("mho.studies.aras")
printed = PAPER.printed
NETWORKS = ("vgg16", "resnet50", "densenet161", "bert-base", "bert-large")
"""The networks of Section VI, BERT with sequences of 128 tokens."""
SCHEDULES = {"overlap": "overlap", "aras": "aras", "adaptive": "adaptive (ours)"}
"""Schedules as figures call them."""
CHIPS = {"aras": "ARAS (BRW)", "adaptive": "ours"}
"""Whole configurations by their schedules, as figures call them."""
RUNS = {"aras": "reuse", "adaptive": "adaptive"}
"""Their measurements."""


def given(work: Work, quantity: str, key: str) -> float | None:
    """Return a figure of the paper over its networks, which a quick study does not measure."""
    return None if work.settings.quick else printed(quantity).get(key)
