"""The tables of docs/grouping.md and docs/grouping-speed.md, from what benchmarks.grouping measured."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

METHODS = ("id", "frequency", "greedy", "fast", "refine", "hypergraph", "anneal")
HEIGHT = 128
HEIGHTS = (64, HEIGHT, 256)
IDEAS = {"grouping": ("grouping",), "copies": ("new_rows", "copies"), "modes": ("reading",), "tiles": ("seating",)}
"""What ours does otherwise than the paper's design, by the stages of a strategy."""


def table(results: dict[str, Any]) -> str:
    """Render the groups touched."""
    lines = [
        "Groups that a bag touches, mean over the bags that were not seen (20 %, seed 0); in brackets the hint that `anneal` took, "
        "where it took one. *Less* is of `anneal` against `greedy`.",
        "",
        f"| trace | look-ups a bag | height | {' | '.join(METHODS)} | less |",
        "|---|---:|---:|" + "---:|" * (len(METHODS) + 1),
    ]
    cells = {(row["trace"], row["height"], row["method"]): row for row in results.get("quality", [])}
    for name in dict.fromkeys(row["trace"] for row in results.get("quality", [])):
        for height in HEIGHTS:
            found = [cells.get((name, height, method)) for method in METHODS]
            if not any(found):
                continue
            length = next(row for row in found if row)["mean_length"]
            texts = ["" if row is None else f"{row['unseen']:.3f}{_chosen(row)}" for row in found]
            greedy, last = found[METHODS.index("greedy")], found[METHODS.index("anneal")]
            less = f"{1 - last['unseen'] / greedy['unseen']:.1%}" if greedy and last else ""
            lines.append(f"| {name} | {length:.1f} | {height} | {' | '.join(texts)} | {less} |")
    lines += [
        "",
        f"One area, several ways to spend it (height {HEIGHT}; *queue*: most activations that one array serves of a batch of 256 "
        "bags, mean):",
        "",
        "| trace | budget | way | groups a bag | queue | s |",
        "|---|---:|---|---:|---:|---:|",
    ]
    for row in results.get("copies", []):
        lines.append(
            f"| {row['trace']} | {row['budget']:g} | {row['way']} | {row['unseen']:.3f} | {row['queue']:.1f} | "
            f"{row['seconds']:.2g} |"
        )
    lines += ["", *_other_table(results), "", *_gain_table(results)]
    return "\n".join(lines)


def _other_table(results: dict[str, Any]) -> list[str]:
    """Render traces that nothing was tuned for."""
    lines = [
        f"Traces that nothing was tuned for (height {HEIGHT}): the same by time, the last 20 % of the bags unseen, and made-up "
        "ones; processor seconds a million look-ups.",
        "",
        "| trace | look-ups | greedy | refine | anneal | less than greedy | s a million |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in results.get("other", []):
        less, pace = 1 - row["anneal"] / row["greedy"], row["anneal_s"] / row["lookups"] * 1e6
        cells = (f"{row[method]:.3f}" for method in ("greedy", "refine", "anneal"))
        lines.append(f"| {row['trace']} | {row['lookups']:,} | {' | '.join(cells)} | {less:.1%} | {pace:.0f} |")
    return lines


def _gain_table(results: dict[str, Any]) -> list[str]:
    """Render which part of the gain over the paper's design each idea brings."""
    lines = [
        "Where the gain over the paper's design comes from (area 1.25, batches of 256, chip recross, unseen bags): times less "
        "*time* and *energy* as one idea after another takes the place of the paper's: grouping (anneal for greedy), copies (by "
        "load for by logarithm, new rows scattered), modes (every for two), tiles (groups that are touched together in one). "
        "*Alone*: that idea alone; *taken back*: what all four lose without it.",
        "",
        "| trace | what | all | grouping | copies | modes | tiles |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in results.get("gain", []):
        for key, what in (("seconds", "time"), ("energy_j", "energy")):
            chain = [each[key] for each in row["chain"]]
            whole = f"{chain[0] / chain[-1]:.2f}"
            after = [f"{before / then:.2f}" for before, then in pairwise(chain)]
            alone = [f"{chain[0] / row['alone'][idea][key]:.2f}" for idea in IDEAS]
            without = [f"{row['without'][idea][key] / chain[-1]:.2f}" for idea in IDEAS]
            for words, cells in ((what, after), (f"{what}, alone", alone), (f"{what}, taken back", without)):
                lines.append(f"| {row['trace']} | {words} | {whole if words == what else ''} | {' | '.join(cells)} |")
    return lines


def _chosen(row: dict[str, Any]) -> str:
    chosen = row["chosen"]
    if not chosen:
        return ""
    return f" ({chosen['hint']:g})" if chosen.get("hint") else ""


def speed_table(results: dict[str, Any]) -> str:
    """Render time and memory."""
    lines = [
        f"Made-up traces of bags of 20 (communities of 64, Zipf 0.8), ten look-ups a row, height {HEIGHT}, one thread, processor "
        "seconds. *Ratio* is "
        "to sorting the look-ups by row.",
        "",
        "| method | look-ups | rows | s | million look-ups/s | ratio | bytes added a look-up | groups a bag (history) |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in results.get("speed", []):
        lookups = row["lookups"]
        lines.append(
            f"| {row['method']} | {lookups:.0e} | {row['rows']:.0e} | {row['seconds']:.3g} | "
            f"{lookups / row['seconds'] / 1e6:.2g} | "
            f"{row['seconds'] / row['reference_s']:.2g} | {row['added_bytes'] / lookups:.0f} | {row['history']:.2f} |"
        )
    return "\n".join(lines)
