"""What AutoRAC's abstract states, and the study's texts, read from paper.yaml beside this file."""

from mho.studies.printed import Paper

PAPER = Paper("mho.studies.autorac")
