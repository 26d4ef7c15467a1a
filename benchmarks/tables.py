"""Results as tables of the documentation: the same results always give the same text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: int = 1) -> str:
    """Render a Markdown table; columns from number `right` on are aligned to the right."""
    lines = [head, ["---:" if place >= right else "---" for place in range(len(head))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def accuracy_table(results: dict[str, Any]) -> str:
    """Render benchmarks/accuracy.json: accuracy, goals, exactness, and the calibration of each network."""
    networks = results["networks"]
    parts = [
        "**Accuracy**, top-1 in percent. *README* is what the data's README states for these samples, *float* what "
        "`mho.number.run_float` gives. *Change* is in points against the README; the goal is for one weight code per tensor.",
        table(
            (
                "network",
                "samples",
                "README",
                "float",
                "INT8 per tensor",
                "change",
                "INT8 per channel",
                "change",
                "goal",
                "met",
            ),
            [_accuracy_row(each) for each in networks],
        ),
    ]
    parts.extend(f"`{each['file']}`: {each['explanation']}" for each in networks if each["explanation"])
    parts.extend(_held_out(each) for each in networks if each.get("held_out"))
    parts += [
        "**Image by image**, against float: how many samples the integers get wrong that float gets right (*lost*), and the "
        "other way round (*won*); the standard error of the change of accuracy that these give, in points.",
        table(
            ("network", "per tensor: lost", "won", "error", "per channel: lost", "won", "error"),
            [(f"`{each['file']}`", *_pairs(each, "tensor"), *_pairs(each, "channel")) for each in networks],
        ),
        "**Executed**: the program of the same integer network on a chip too small for it (so that cells are overwritten), cell by "
        "cell, against the integer reference.",
        table(
            ("network", "activation codes from", "array blocks needed", "groups of the chip", "programs", "verdict"),
            [_executed_row(each) for each in networks],
            right=6,
        ),
    ]
    return "\n\n".join(parts)


def _percent(count: int, samples: int) -> str:
    return f"{100 * count / samples:.2f}"


def _held_out(each: dict[str, Any]) -> str:
    rest = each["held_out"]
    samples, right = rest["samples"], rest["right"]
    return (
        f"`{each['file']}` has no other samples to calibrate with than those measured. On the {samples} that did not calibrate: "
        f"float {_percent(right['float'], samples)}, per tensor {_percent(right['tensor'], samples)}, per channel "
        f"{_percent(right['channel'], samples)}."
    )


def _accuracy_row(each: dict[str, Any]) -> list[str]:
    samples, right = each["samples"], each["right"]

    def change(kind: str) -> str:
        return f"{100 * (right[kind] - right['stated']) / samples:+.2f}".replace("-", "−")

    channel = ["own codes", ""] if "channel" not in right else [_percent(right["channel"], samples), change("channel")]
    limit = f"±{each['limit_points']:g}" if each["quantised_file"] else f"−{each['limit_points']:g}"
    return [
        f"`{each['file']}`",
        str(samples),
        f"{each['stated_percent']:.2f}",
        _percent(right["float"], samples),
        _percent(right["tensor"], samples),
        change("tensor"),
        *channel,
        limit,
        "yes" if each["met"]["tensor"] else "no",
    ]


def _pairs(each: dict[str, Any], kind: str) -> tuple[str, str, str]:
    found = each["against_float"].get(kind)
    if found is None:
        return "", "", ""
    lost, won = found["lost"], found["won"]
    return str(lost), str(won), f"{100 * (lost + won) ** 0.5 / each['samples']:.2f}"


def _executed_row(each: dict[str, Any]) -> list[str]:
    verified = each["verified"]
    first = next(iter(verified.values()))
    texts = sorted({found["text"] for found in verified.values()})
    return [
        f"`{each['file']}`",
        each["calibration"],
        str(first["blocks"]),
        str(first["groups"]),
        "; ".join(verified),
        "; ".join(texts),
    ]


def benchmark_tables(results: dict[str, Any]) -> str:
    """Render benchmarks/results.json: the machine, compile and simulate, growth, and work on weights."""
    cases = results["cases"]
    parts = [
        _machine(results),
        "**Compile and simulate**, networks known by their shapes, on preset `aras`. *Ratio* is to one forward pass of resnet50. "
        "*Load* builds or imports the network and is not part of it. *Peak* is the whole process, of which *imports* was taken "
        "before.",
        table(
            (
                "network",
                "schedule",
                "load s",
                "compile s",
                "simulate s",
                "sum s",
                "ratio",
                "peak MB",
                "imports MB",
                "goal",
                "met",
            ),
            [_shape_row(each) for each in cases if each["table"] == "shapes"],
            right=2,
        ),
        _growth(results),
        table(
            ("network", "layers", "load s", "compile and simulate s", "ms per layer", "ratio", "peak MB", "imports MB"),
            [
                _growth_row(each, layers)
                for each, layers in zip(
                    (each for each in cases if each["table"] == "growth"), results["growth"]["layers"], strict=True
                )
            ],
        ),
        "**Work on weights**: resnet50 at 224 × 224 with seeded weights.",
        table(
            ("step", "s", "ratio", "peak MB of the process"),
            [row for each in cases if each["table"] == "weights" for row in _weight_rows(each)],
        ),
    ]
    return "\n\n".join(parts)


def _machine(results: dict[str, Any]) -> str:
    held = results["machine"]
    units = results["forward_s"]
    text = (
        f"Machine: {held['processor']}, {held['cores']} cores, {held['system']}; Python {held['python']}, mho {held['mho']}, "
        f"numpy {held['numpy']}, scipy {held['scipy']}, torch {held['torch']}. One thread.\n\n"
        f"One forward pass of resnet50: {1000 * median(units):.0f} ms (the median of those before, between and after the cases: "
        f"{', '.join(f'{1000 * each:.0f}' for each in units)} ms)."
    )
    if results.get("tree"):
        text += (
            f"\n\nMeasured on {results['tree']['day']}, at commit {results['tree']['commit']}; "
            "what mho has learnt since may take longer or shorter."
        )
    if results["disturbed"]:
        text += "\n\n**This run was disturbed**: the forward passes differ by more than 15 %. Run it again on a quiet machine."
    return text


def _seconds(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _megabytes(value: float) -> str:
    return f"{value / 1e6:.0f}"


def _shape_row(each: dict[str, Any]) -> list[str]:
    times, goal = each["times"], each["goal"]
    asked = [f"{goal['seconds']:g} s"] if goal["seconds"] is not None else []
    asked += [f"{goal['bytes'] / 1e9:g} GB"] if goal["bytes"] is not None else []
    return [
        each["model"],
        each["what"],
        *(_seconds(times[name]) for name in ("load", "compile", "simulate", "compile and simulate")),
        _ratio(each["ratios"]["compile and simulate"]),
        _megabytes(each["peak_bytes"]),
        _megabytes(each["base_bytes"]),
        ", ".join(asked),
        {True: "yes", False: "no", None: ""}[goal["met"]],
    ]


def _growth(results: dict[str, Any]) -> str:
    growth = results["growth"]
    met = "met" if growth["met"] else "missed"
    return (
        f"**Growth**: decoders whose every layer has the sizes of a layer of llama3-8b, schedule `overlap`. Time grows as "
        f"layers^{growth['exponent']:.2f} (least squares of logarithms over all five; goal: about 1, at most {growth['goal']:g}: "
        f"{met})."
    )


def _growth_row(each: dict[str, Any], layers: int) -> list[str]:
    seconds = each["times"]["compile and simulate"]
    return [
        each["model"],
        str(layers),
        _seconds(each["times"]["load"]),
        _seconds(seconds),
        f"{1000 * seconds / layers:.1f}",
        _ratio(each["ratios"]["compile and simulate"]),
        _megabytes(each["peak_bytes"]),
        _megabytes(each["base_bytes"]),
    ]


def _weight_rows(each: dict[str, Any]) -> list[list[str]]:
    return [
        [name, _seconds(value), _ratio(each["ratios"][name]), _megabytes(each["peak_bytes"])]
        for name, value in each["times"].items()
    ]
