"""The figures that ReCross prints, and the study's texts, read from paper.yaml beside this file."""

from mho.studies.printed import Paper

PAPER = Paper("mho.studies.recross")
