"""Where the gain of the design mho comes from, on real traces: what each idea brings, in equal areas (docs/recommend.md)."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.files import ROOT, read_json, write_json, write_measured
from benchmarks.intervals import compared, factors, priced, verdict

RESULTS = ROOT / "benchmarks" / "gains.json"
PAGE = ROOT / "docs" / "recommend.md"
SCHEMA = "mho.gains/1"
TRACES: dict[str, tuple[str, dict[str, str]]] = {
    "Gowalla": ("gowalla_train.npz", {}),
    "MovieLens-1M": ("ml1m.npz", {"bag": "user", "row": "item"}),
    "Amazon Beauty": ("amazon_beauty_seq.npz", {}),
    "Groceries": ("groceries_baskets.npz", {}),
}


def measured(data: Path, name: str) -> dict[str, Any]:
    """Return the factors of each idea and the gains over each rival in equal areas."""
    from mho.explore import recommend
    from mho.network.trace import read

    file, options = TRACES[name]
    found = recommend(read(data / file, compact=True, **options), split_seed=0)  # type: ignore[arg-type]
    own = found.services["mho"]
    priced_all = priced(found.services)
    rivals = {
        rival: {
            "time": each.seconds / own.seconds,
            "energy": each.energy_j / own.energy_j,
            "sure": compared(priced_all, "mho", rival),
        }
        for rival, each in found.services.items()
        if rival != "mho"
    }
    assert found.copied is not None
    split = {
        "gains": [asdict(each) for each in found.split],
        "whole": asdict(found.whole),
        "copied": asdict(found.copied),
    }
    return {**split, "rivals": rivals}


def table(results: dict[str, Any]) -> str:
    """Render the results."""
    traces = results["traces"]
    steps = [each["name"] for each in next(iter(traces.values()))["gains"]]
    rivals = list(next(iter(traces.values()))["rivals"])

    def told(each: dict[str, float]) -> str:
        return f"{each['time']:.2f}, {each['energy']:.2f}"

    heads = [
        "trace",
        *(f"+ {step}" for step in steps),
        "together",
        "naive, copied",
        *(f"over {rival}" for rival in rivals),
    ]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for name, each in traces.items():
        cells = [told(gain) for gain in each["gains"]] + [told(each["whole"]), told(each["copied"])]
        cells += [told(each["rivals"][rival]) for rival in rivals]
        lines.append("| " + " | ".join((name, *cells)) + " |")
    sure = []
    for name, each in traces.items():
        told = (each["rivals"][rival]["sure"] for rival in rivals)
        sure.append("| " + " | ".join((name, *(f"{factors(one)}, {verdict(one)}" for one in told))) + " |")
    return "\n".join(
        [
            "Times less time, times less energy; four fifths of the queries, drawn with seed 0, are history. Each idea over the "
            "step before, from the naive mapping of one copy on; the last columns in equal areas, 1.25 of the least.",
            "",
            *lines,
            "",
            "Times are exact under the chip's file. Between which factors of energy 90 % of draws of published constants lie, and "
            "whether it is decided that `mho` takes less ([robust.md](robust.md)):",
            "",
            "| " + " | ".join(("trace", *(f"over {rival}" for rival in rivals))) + " |",
            "|---|" + "---|" * len(rivals),
            *sure,
        ]
    )


def main(arguments: list[str]) -> None:
    """Measure the traces, keep the results, and put the table into the page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, default=os.environ.get("MHO_DATA"), help="the folder of real data")
    options.add_argument("--render", action="store_true", help="only put the results that there are into the page")
    given = options.parse_args(arguments)
    if not given.render:
        if given.data is None:
            options.error("give --data, or set MHO_DATA")
        traces = {}
        for name in TRACES:
            print(name, file=sys.stderr)
            traces[name] = measured(Path(given.data) / "recsys", name)
        write_json(RESULTS, {"schema": SCHEMA, "traces": traces})
    write_measured(PAGE, table(read_json(RESULTS)))


if __name__ == "__main__":
    main(sys.argv[1:])
