"""Which operators both importers know, each beside what computes the same on the other side.

python -m mho.network.operators > docs/operators.md        the table in the documentation
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.resources import files

import yaml

_TABLES = yaml.safe_load((files("mho.network") / "operators.yaml").read_text(encoding="utf-8"))
TWINS: Mapping[str, str] = _TABLES["twins"]
"""Operators of torch, and the ONNX operators that compute the same, or of which a file is made that does."""
ALONE: Mapping[str, str] = _TABLES["alone"]
"""ONNX operators that no torch operator stands for alone, and why."""


def table() -> str:
    """Write the documentation's table, of the operators that the two importers know."""
    from mho.network import onnx_reader, torch, torch_image
    from mho.network.onnx_quantised import REFUSED

    lines = [
        "# Operators",
        "",
        "What both importers know, made from their registries by `python -m mho.network.operators > docs/operators.md`.",
        "Operators of torch stand without namespace and overload, in-place ones without their underscore. Where several ONNX",
        "operators stand, a file is made of them. Anything else is refused by name, with the node, the module or the file.",
        "",
        "| torch | ONNX |",
        "|---|---|",
    ]
    for names, others in TWINS.items():
        known = [name for name in names.split() if name in torch.HANDLERS]
        if known:
            lines.append(f"| {_listed(known)} | {_listed(others.split())} |")
    lines += ["", "| ONNX alone | why |", "|---|---|"]
    lines += [f"| {_listed(names.split())} | {reason} |" for names, reason in ALONE.items()]
    coded = sorted({*onnx_reader.CODING, *onnx_reader.QUANTISED} - set(REFUSED))
    lines += ["", "`If` runs the branch that its condition, known when the file is read, chooses."]
    lines += ["", f"Quantised files: {_listed(coded)}."]
    lines += ["", f"Refused by name, with what helps: {_listed(sorted({*REFUSED, *torch_image.REFUSED}))}."]
    return "\n".join(lines) + "\n"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    sys.stdout.write(table())
