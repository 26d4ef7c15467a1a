"""What has moved since a study was measured: python -m benchmarks.drift measures some of its figures again, in about a minute.

A study takes hours; chips and machine are mended meanwhile. Where a chip that a study names is not the preset of that name
any more, docs/study-NAME.md says so, with what is written here to docs/study-drift.json: for networks known by their shapes,
throughput and energy by the study's own configurations, then and now. A test compares every digest in docs/ with the presets.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.files import ROOT, read_json, tree, write_json

if TYPE_CHECKING:
    from mho.studies import Study

DRIFT = ROOT / "docs" / "study-drift.json"
NETWORKS = ("resnet18", "resnet50", "mobilenet_v2", "bert-base")
"""Of those of the study of ARAS, such as take seconds."""
SCHEDULES = {"overlap": "banks", "aras": "replication"}
"""Schedule to the study's configuration of its rows of throughput."""
WEIGHTED = ("resnet18", "mobilenet_v2")
"""Networks whose energy with seeded weights, in the configuration of the baseline, is measured again too."""
SAME, SMALL = 1e-9, 0.01


def changed(study: Study) -> dict[str, dict[str, str]]:
    """Return the study's chips that are presets, but not as they are now: name to the digests then and now."""
    now = digests()
    return {
        name: {"then": digest, "now": now[name]}
        for name, digest in study.chips.items()
        if name in now and digest != now[name]
    }


def digests() -> dict[str, str]:
    """Return the digest of every preset, chips and systolic arrays."""
    import mho

    held = {name: mho.Chip.load(name).digest for name in mho.Chip.presets()}
    return {**held, "tpu-like": mho.Systolic.load("tpu-like").digest}


def measure(study: Study) -> list[dict[str, Any]]:
    """Measure some of the throughputs and energies of the study of ARAS again."""
    import mho
    from mho.studies.aras.measure import BY_NAME, Subject

    rows = []
    for network in NETWORKS:
        loaded = mho.zoo.load(network)
        for schedule, name in SCHEDULES.items():
            configuration = BY_NAME[name]
            options: dict[str, Any] = {**configuration.options, "alignment": "none"}
            report = mho.simulate(mho.compile(loaded, configuration.chip, **options))
            row = study.by_id[f"figure-14/throughput/{schedule}/{network}"]
            rows.append({"id": row.id, "then": row.ours, "now": report.throughput_per_s})
    baseline = BY_NAME["baseline"]
    for network in WEIGHTED:
        program = mho.compile(Subject(network).quantised, baseline.chip, **dict[str, Any](baseline.options))
        row = study.by_id[f"figure-15/joules/{network}"]
        rows.append({"id": row.id, "then": row.ours, "now": mho.simulate(program).energy_j})
    return rows


def sentence(name: str, drift: Mapping[str, Any]) -> str:
    """Say what has changed since a study was measured; nothing where nothing has."""
    held = drift.get(name)
    if not held or not held["chips"]:
        return ""
    chips = ", ".join(f"`{chip}` ({each['then'][:12]}, now {each['now'][:12]})" for chip, each in held["chips"].items())
    said = f"**Measured before the latest changes** of {chips}. "
    if not held["rows"]:
        return f"{said}None of its figures was measured again since."
    moves = sorted(abs(row["now"] / row["then"] - 1) for row in held["rows"])
    if moves[-1] < SAME:
        how = "they are the same"
    elif moves[-1] < SMALL:
        how = f"they move by {100 * moves[-1]:.2f} % at most"
    else:
        how = f"they move by {100 * moves[-1]:.1f} % at most, half of them by less than {100 * moves[len(moves) // 2]:.2f} %"
    return (
        f"{said}Of its figures, {len(moves)} throughputs and energies were measured again on {held['tree']['day']} "
        f"(`python -m benchmarks.drift`, [study-drift.json](study-drift.json)): {how}. The others stand as they were measured."
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write docs/study-drift.json and the studies' pages."""
    from benchmarks.study import NAMES, kept, publish

    argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__).parse_args(arguments)
    studies = {name: kept(name) for name in NAMES}
    found: dict[str, Any] = {}
    for name, study in studies.items():
        chips = changed(study)
        if chips:
            found[name] = {"tree": tree(), "chips": chips, "rows": measure(study) if name == "aras" else []}
            sys.stderr.write(f"{json.dumps(found[name], indent=1)}\n")
    write_json(DRIFT, found)
    for study in studies.values():
        publish(study)
    return 0


def read_drift() -> dict[str, Any]:
    """Return what was written last; empty where nothing was."""
    return read_json(DRIFT)


if __name__ == "__main__":
    sys.exit(main())
