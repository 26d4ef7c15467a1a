"""What has moved since a study was measured: python -m benchmarks.drift measures some of its figures again, in about a minute.

A study takes hours; chips and machine are mended meanwhile. Where a chip that a study names is not the preset of that name
any more, or the machine has another rule since (RULES), docs/study-NAME.md says so, with what is written here to
docs/study-drift.json: figures by the study's own configurations, then and now. A test compares every digest in docs/ with
the presets.
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

RULES: dict[str, str] = {}
"""What the machine does since a study was measured and did not do then; goes when the study is measured again."""


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
    from mho.machine.systolic import Systolic

    held = {name: mho.Chip.load(name).digest for name in mho.Chip.presets()}
    return {**held, **{name: Systolic.load(name).digest for name in Systolic.presets()}}


def measure(study: Study) -> list[dict[str, Any]]:
    """Measure some of the throughputs and energies of the study of ARAS again."""
    import mho
    from mho.studies.aras.measure import BY_NAME, ZooNetwork

    rows = []
    for network in NETWORKS:
        loaded = mho.zoo.load(network)
        for schedule, name in SCHEDULES.items():
            configuration = BY_NAME[name]
            options: dict[str, Any] = {**configuration.options, "alignment": "none"}
            report = mho.simulate(mho.compile(loaded, configuration.chip, mho.Strategy().with_(options)))
            row = study.by_id[f"figure-14/throughput/{schedule}/{network}"]
            rows.append({"id": row.id, "then": row.ours, "now": report.throughput_per_s})
    baseline = BY_NAME["baseline"]
    for network in WEIGHTED:
        program = mho.compile(
            ZooNetwork(network).quantised, baseline.chip, mho.Strategy().with_(dict[str, Any](baseline.options))
        )
        row = study.by_id[f"figure-15/joules/{network}"]
        rows.append({"id": row.id, "then": row.ours, "now": mho.simulate(program).energy_j})
    return rows


def measure_dense(study: Study) -> list[dict[str, Any]]:
    """Measure the study of SME's times of dense programs again, of all networks that the zoo or the data have."""
    import mho
    from benchmarks.accuracy import data_folder
    from mho.mapping import map_network
    from mho.studies.sme.chips import dense

    folder, head, rows = data_folder(), "cost/time/dense/", []
    for row in study.by_id.values():
        name = row.id.removeprefix(head)
        if not row.id.startswith(head):
            continue
        files = [] if folder is None else sorted(folder.rglob(f"{name}.onnx"))
        if not files and name not in mho.zoo.names():
            continue
        network = mho.Network.from_onnx(files[0]) if files else mho.zoo.load(name)
        arrays = map_network(network, chip := dense()).arrays
        sized = chip.override(
            {"tiles": max(1, -(-arrays // chip.tile.groups))}, source="as many tiles as the network fills"
        )
        report = mho.simulate(mho.compile(network, sized, "naive"))
        rows.append({"id": row.id, "then": row.ours, "now": report.latency_s})
    return rows


def measure_basis(study: Study) -> list[dict[str, Any]]:
    """Measure some of the times and energies of the study of BasisN again: every design of two networks on two chips."""
    import mho
    from mho.studies.basisn.measure import measured_on

    rows = []
    for network, arrays in (("resnet20", 16), ("resnet50", 2304)):
        for design, run in measured_on(mho.zoo.load(network), arrays).items():
            for quantity, key in (("time", "latency_s"), ("energy", "energy_j")):
                row = study.by_id[f"costs/{arrays}/{quantity}/{design}/{network}"]
                rows.append({"id": row.id, "then": row.ours, "now": run[key]})
    return rows


def sentence(name: str, drift: Mapping[str, Any]) -> str:
    """Say what has changed since a study was measured; nothing where nothing has."""
    held = drift.get(name)
    if not held:
        return ""
    chips = ", ".join(f"`{chip}` ({each['then'][:12]}, now {each['now'][:12]})" for chip, each in held["chips"].items())
    said = f"**Measured before the latest changes** of {chips}. " if chips else ""
    if held["rule"]:
        said += f"**Measured before a change of the machine**: {held['rule']}. "
    if not held["rows"]:
        return f"{said}None of its figures was measured again since."
    moves = sorted(abs(row["now"] / row["then"] - 1) for row in held["rows"])
    if moves[-1] < SAME:
        how = "they are the same"
    elif moves[-1] < SMALL:
        how = f"they move by {100 * moves[-1]:.2f} % at most"
    else:
        how = f"they move by {100 * moves[-1]:.1f} % at most, half of them by less than {100 * moves[len(moves) // 2]:.2f} %"
    kind = ("times and energies" if name == "basisn" else "throughputs and energies") if chips else "times"
    return (
        f"{said}Of its figures, {len(moves)} {kind} were measured again on {held['tree']['day']} "
        f"(`python -m benchmarks.drift`, [study-drift.json](study-drift.json)): {how}. The others stand as they were measured."
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write docs/study-drift.json and the studies' pages."""
    from benchmarks.study import NAMES, kept, publish

    argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__).parse_args(arguments)
    studies = {name: kept(name) for name in NAMES}
    found: dict[str, Any] = {}
    for name, study in studies.items():
        chips, rule = changed(study), RULES.get(name, "")
        if chips or rule:
            rows = {"aras": measure, "basisn": measure_basis, "sme": measure_dense}.get(name, lambda _: [])(study)
            found[name] = {"tree": tree(), "chips": chips, "rule": rule, "rows": rows}
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
