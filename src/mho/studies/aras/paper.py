"""The figures that ARAS prints, read from paper.yaml beside this file."""

from __future__ import annotations

from mho.studies.printed import Paper

PAPER = Paper("mho.studies.aras")
printed = PAPER.printed
NETWORKS = ("vgg16", "resnet50", "densenet161", "bert-base", "bert-large")
"""The networks of Section VI, BERT with sequences of 128 tokens."""
