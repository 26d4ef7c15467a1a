"""What is at hand of the paper, and the study's texts, read from paper.yaml beside this file."""

from mho.studies.printed import Paper

PAPER = Paper("mho.studies.basisn")
