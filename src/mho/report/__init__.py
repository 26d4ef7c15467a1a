"""What a person sees of a program's cost: the report as data, in the terminal, as a page, and as a trace."""

from mho.report.report import Report, simulate

__all__ = ["Report", "simulate"]
