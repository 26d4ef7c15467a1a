"""The tables of docs/reuse.md, from what benchmarks.reuse measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

KINDS = {"aligned": "all", "narrowed": "lower"}
"""The sets of codes that are compared with the codes as they came, and the option low_cell that makes them."""
CLOSEST = "closest"
"""The set of codes looked for where all others miss the goal (`benchmarks.reuse.closest`)."""
EXPLANATIONS = {
    "imagenet/mobilenet_v2_int8_qdq.onnx": "the pulses are there, the accuracy is not, by one image of 200. Placed alone, which "
    "costs no accuracy, falls 5.8 points short of 17 %; narrowed without a shift and placed saves 20.1 %, with 8 images lost and "
    "7 won: 0.50 points, where less than 0.50 is asked; the closest codes save 17.4 % once placed, with 4 lost and 1 won: 1.50 "
    "points. None of the six centres passes the rule that no image of the 200 may be lost, net. The file's codes run from 1 to 255 "
    "in every layer, so that any shift clips the largest weights: at centre 144 these are 129 of 3.5 million, in 48 of the 52 "
    "layers shifted, and they move the scores by 17 %. Net changes of 1 and 3 in 15 and 5 changed images are within two standard "
    "errors (1.9 and 1.1 points): 200 images can neither confirm nor refute a loss of half a point",
}
"""Why every kind misses the goal, where all do, by file."""


def measured(record: dict[str, Any]) -> list[str]:
    """Return the sets of codes of a network's record other than those that came."""
    return [kind for kind in (*KINDS, CLOSEST) if kind in record]


def met(record: dict[str, Any]) -> list[str]:
    """Return the kinds of a network's record that meet the goal, named as on the page."""
    found = ["placed"] if record["original"]["placed"]["met"] else []
    for kind in measured(record):
        found += [kind] if record[kind]["met"] else []
        found += [f"{kind}, placed"] if record[kind]["placed"]["met"] else []
    return found


def expected_steps(mean: float, deviation: float) -> float:
    """Level steps a weight, expected where independent weights overwrite weights, both of normal codes, in 2-bit cells."""
    import numpy as np
    from scipy.special import ndtr

    edges = np.concatenate([[-np.inf], np.arange(255) + 0.5, [np.inf]])
    share = np.diff(ndtr((edges - mean) / deviation))
    total = 0.0
    for shift in (6, 4, 2, 0):
        levels = np.bincount(np.arange(256) >> shift & 3, weights=share)
        total += float(levels @ np.abs(np.subtract.outer(np.arange(4), np.arange(4))) @ levels)
    return total


def possible() -> list[str]:
    """Render what shifting can gain between layers of normal codes, by the spread of the codes."""
    from mho.number import CENTRES

    lines = [
        "**What shifting can gain**: level steps a weight that are expected where independent weights overwrite weights, "
        "the codes of both normal with this *spread*; *unshifted* is the mean over means from 112 to 144, *shifted* the "
        "best of the six centres.",
        "",
        "| spread | unshifted | shifted | fewer, % |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for deviation in (5, 10, 15, 20, 25, 30, 50):
        plain = sum(expected_steps(mean, deviation) for mean in range(112, 145)) / 33
        best = min(expected_steps(centre, deviation) for centre in CENTRES)
        lines.append(f"| {deviation} | {plain:.2f} | {best:.2f} | {percent(1 - best / plain)} |".replace("-", "−"))
    return lines


def percent(value: float | None, digits: int = 1) -> str:
    """Write a share in percent."""
    return "" if value is None else f"{100 * value:.{digits}f}"


def points(lost: float | None) -> str:
    """Write a loss of accuracy as a change in points; nothing where there is no accuracy."""
    return "" if lost is None else f"{0.0 - 100 * lost:+.2f}".replace("-", "−")


def yes(reached: bool) -> str:
    """Say whether a goal is met."""
    return "yes" if reached else "no"


def verdicts(results: dict[str, Any]) -> list[str]:
    """Render which kinds meet the goal, and how many samples judged that chose nothing."""
    goal = results["goal"]
    lines = [
        f"**Which kinds meet the goal** of {percent(goal['saved'], 0)} % fewer pulses with less than "
        f"{percent(goal['lost'])} points lost; beside each its pulses saved. *Judged only* is how many samples measured the "
        "accuracy without having chosen the centre.",
        "",
        "| network | samples | judged only | kinds that meet the goal |",
        "| --- | ---: | ---: | --- |",
    ]
    for each in results["networks"]:
        samples, saved = each["samples"], {"placed": each["original"]["placed"]["saved"]}
        for kind in measured(each):
            saved |= {kind: each[kind]["saved"], f"{kind}, placed": each[kind]["placed"]["saved"]}
        counts = f"{samples} | {samples - each['screened']}" if samples else "none | none"
        shown = "; ".join(f"{kind} {percent(saved[kind])} %" for kind in met(each))
        lines.append(f"| `{Path(each['file']).stem}` | {counts} | {shown or '**none**'} |")
    return lines


def details(results: dict[str, Any]) -> list[str]:
    """Render all that was measured of each kind."""
    head = "| network | groups | exceeded | pulses a weight | kind | centre | saved, % | skipped, % | clipped, % | moved, % |"
    lines = [
        f"{head} accuracy, % | change, points | goal met |",
        f"|{' --- |' * 1}{' ---: |' * 3} --- |{' ---: |' * 7} --- |",
    ]
    for each in results["networks"]:
        before, size = each["original"], each["samples"]
        weight = sum(before["cells"]) * results["pulses_per_level"]
        exceeded = each["blocks"] / each["groups"]
        shown = f"| `{Path(each['file']).stem}` | {each['groups']} | {exceeded:.1f} | {weight:.1f} |"
        right = percent(before["right"] / size, 2) if size else f"error {percent(before['error'])}"
        lines.append(f"{shown} as it came | | | {percent(before['skip_ratio'])} | | | {right} | | |")
        lines.append(placed_row("placed", before["placed"], 0.0 if size else None))
        for kind in measured(each):
            found = each[kind]
            centre = "none" if found["centre"] is None else found["centre"]
            accuracy = percent(found["right"] / size, 2) if size else f"error {percent(found['error'])}"
            lines.append(
                f"| | | | | {kind} | {centre} | {percent(found['saved'])} | {percent(found['skip_ratio'])} | "
                f"{percent(found['clipped_share'], 3)} | {percent(found['moved_share'])} | {accuracy} | "
                f"{points(found['lost'])} | {yes(found['met'])} |"
            )
            lines.append(placed_row(f"{kind}, placed", found["placed"], found["lost"]))
    return lines


def placed_row(kind: str, found: dict[str, Any], lost: float | None) -> str:
    """Render placed codes; what is not of the placement stands in the row above."""
    saved, skipped = percent(found["saved"]), percent(found["skip_ratio"])
    return f"| | | | | {kind} | | {saved} | {skipped} | | | | {points(lost)} | {yes(found['met'])} |"


def steps(results: dict[str, Any]) -> list[str]:
    """Render where the level steps are."""
    lines = [
        "**Where the level steps are**: steps a weight that is overwritten, by cell, the most significant (4) to the least "
        "(1), in place; *spread* is the standard deviation of normal codes that have the quartiles of the codes as they came.",
        "",
        "| network | spread | kind | cell 4 | cell 3 | cell 2 | cell 1 | in all |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in results["networks"]:
        for kind in ("original", *measured(each)):
            first = f"`{Path(each['file']).stem}` | {each['spread']:.1f}" if kind == "original" else " | "
            cells = each[kind]["cells"]
            name = "as it came" if kind == "original" else kind
            shown = " | ".join(f"{step:.2f}" for step in (*cells, sum(cells)))
            lines.append(f"| {first} | {name} | {shown} |")
    return lines


def tables(results: dict[str, Any]) -> str:
    """Render the measured part of the page."""
    missed = [each["file"] for each in results["networks"] if not met(each)]
    lines = [*verdicts(results), "", *details(results), "", *steps(results), "", *possible()]
    if missed:
        reasons = [f"- `{Path(file).stem}`: {EXPLANATIONS.get(file, '')}." for file in missed]
        lines += ["", "**Where every kind misses the goal**:", "", *reasons]
    return "\n".join(lines)
