"""Recommenders, the bits of their operators and the chips that they run on, searched together (AutoRAC, arXiv 2505.10748)."""
