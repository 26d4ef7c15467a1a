"""What benchmarks.same runs in both trees: command lines of mho, and lines of Python where no command shows a thing.

A case is its name and its steps. A step is a command line ("mho") or Python that sets `result` ("python").
Commands write into the folder that they run in.
"""

from __future__ import annotations

from pathlib import Path

SAMPLES = "samples"
MODEL = f"init samples {SAMPLES}"
DIGITS = f"{SAMPLES}/digits.onnx"
DATA = f"--data {SAMPLES}/digits.npz --calibration {SAMPLES}/calibration.npz"
CLICKS = f"{SAMPLES}/synthetic-clicks.csv --query session --row item"
MADE_UP = (
    "trace --synthetic --rows 100,40,200 --queries 100 --mean-length 6,4,3 --community-size 8 --seed 1 --save made.npz"
)
JSON = "--json out.json"

RUNS = {
    "run-resnet20": "resnet20",
    "run-resnet20-edp": "resnet20 --objective edp --effort 0.5 --seed 3 --endurance 1e9",
    "run-resnet20-batch": "resnet20 --batch 4 --strategy overlap --residency never",
    "run-resnet20-seeded": "resnet20 --weights seeded --strategy aras --endurance 1e9 --rate 10 --save program.mho",
    "run-resnet20-reuse": "resnet20 --weights seeded --strategy aras --alignment auto --low-cell lower --set tiles=3",
    "run-resnet20-placed": "resnet20 --weights seeded --strategy aras --placement pulses --set tiles=3",
    "run-resnet20-baseline": "resnet20 --chip aras-baseline --strategy naive",
    "run-resnet20-isaac": "resnet20 --chip isaac --strategy overlap --banks greedy",
    "run-resnet20-squeezed": "resnet20 --chip sme --strategy sme --weights seeded",
    "run-resnet20-turns": "resnet20 --chip sme --mapping squeezed --turns 2 --set sparse.turns=2 --grid window:8:3 --squeeze 2 "
    "--weights seeded --strategy overlap",
    "run-resnet20-per-channel": "resnet20 --chip sme --mapping squeezed --grid planes:2.5 --per-channel --weights seeded "
    "--strategy overlap",
    "run-resnet50": "resnet50 --strategy aras --banks greedy",
    "run-resnet50-banks": "resnet50 --strategy overlap",
    "run-mobilenet": "mobilenet_v2 --strategy overlap --packing separate --banks greedy",
    "run-vgg16": "vgg16 --strategy naive --banks greedy --set tiles=48",
    "run-bert": "bert-base --strategy overlap --banks greedy --sequence 64",
    "run-dlrm": "dlrm --strategy overlap",
}
"""Costs of networks on chips, in several strategies: name and what follows `mho run`."""

OVER_SAMPLES = {
    "verify-digits": f"run {DIGITS} {DATA} --verify --save program.mho {JSON}",
    "verify-digits-actual": f"run {DIGITS} {DATA} --verify --strategy aras --alignment auto --placement time "
    f"--set write_latency=actual --set tiles=1 {JSON}",
    "verify-accuracy": f"verify {DIGITS} {DATA} --accuracy --grid window:8:2 --rounding output {JSON}",
    "budget": f"run {DIGITS} {DATA} --verify --chip sme --mapping squeezed --strategy overlap --grid window:8:3,planes:3 "
    f"--squeeze 1,2 --budget 0.01 {JSON}",
    "compare-digits": f"compare {DIGITS} {JSON}",
    "accuracy": f"accuracy {DIGITS} {DATA} --analog {SAMPLES}/analog.yaml --samples 60 --seeds 2 {JSON}",
    "accuracy-find": f"accuracy {DIGITS} {DATA} --find adc.bits --samples 60 --seeds 1 {JSON}",
    "sweep": f"sweep {DIGITS} {DATA} --over adc.bits=5,7 --over device.programming.sigma=0,0.1 --samples 30 --seeds 2 --out sweep",
    "run-decoder": f"run {SAMPLES}/decoder.yaml --strategy overlap --banks greedy --sequence 16 {JSON}",
    "trace": f"trace {CLICKS} --history 0.8 {JSON}",
    "recommend": f"recommend {CLICKS} {JSON}",
    "recommend-small": f"recommend {CLICKS} --areas own --grouping fast --dimension 32 --batch 64 --seed 2 {JSON}",
}
"""Commands over the sample files that come with mho."""

DIRECT = {
    "models": f"models {JSON}",
    "chips": f"chips {JSON}",
    "devices": f"devices {JSON}",
    "compare-resnet20": f"compare resnet20 --banks greedy --endurance 1e9 {JSON}",
    "systolic": f"baseline resnet50 {JSON}",
    "systolic-outputs": f"baseline bert-base --dataflow output --sequence 64 {JSON}",
    "systolic-small": f"baseline mobilenet_v2 --set rows=64 --batch 2 {JSON}",
    "trace-made-up": f"{MADE_UP} {JSON}",
    "study-aras": "study aras --quick --out study",
    "study-basisn": "study basisn --quick --out study",
    "study-recross": "study recross --quick --out study",
    "study-silicon": "study silicon --quick --out study",
    "study-sme": "study sme --quick --out study",
}

TECHNOLOGIES = """
import yaml
from pathlib import Path
import mho
from mho.chip.technology import Technology
folder = Path(mho.__file__).parent / "chip" / "technologies"
def resolved(path):
    technology = Technology.of(str(path), yaml.safe_load(path.read_text(encoding="utf-8")))
    return {name: part.definition for name, part in technology.components.items()}
result = {path.stem: resolved(path) for path in sorted(folder.glob("*.yaml"))}
"""

CHIPS = """
import mho
result = {name: mho.Chip.load(name).to_dict() for name in mho.Chip.presets()}
"""

SYSTOLIC = """
try:
    from mho.machine.systolic.spec import Systolic
except ImportError:
    from mho.baseline.systolic import Systolic
systolic = {name: Systolic.load(name) for name in Systolic.presets()}
result = {
    name: {"specification": chip.spec.model_dump(), "energy": dict(chip.energy_per_event), "leakage": dict(chip.leakage_w),
           "area": dict(chip.area_m2), "notes": list(chip.notes)}
    for name, chip in systolic.items()
}
"""

STRATEGIES = """
from mho.strategy.strategy import PRESETS, Strategy
result = {name: Strategy.load(name).to_dict() for name in PRESETS.names()}
"""

EXPLORE = """
import mho
space = mho.Space({"chip.tiles": [24, 48], "strategy.schedule": ["naive", "overlap"], "strategy.banks": ["greedy"]})
result = mho.explore(mho.zoo.load("resnet20"), mho.Chip.load("aras"), space).to_dict()
"""

PYTHON = {
    "technologies": TECHNOLOGIES,
    "chip-presets": CHIPS,
    "systolic-presets": SYSTOLIC,
    "strategy-presets": STRATEGIES,
    "explore": EXPLORE,
}

OLD_OPTIONS = {
    "--strategy overlap": "--schedule overlap",
    "--strategy aras": "--schedule aras",
    "--strategy naive": "--schedule naive",
    "--strategy sme": "--schedule overlap --mapping squeezed --grid window:8:3 --squeeze 1",
}
"""What a preset of strategies was in options, for trees that have none."""


def steps(root: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the steps of all cases; the presets to show are those of the tree at `root`."""
    cases: dict[str, list[tuple[str, str]]] = {name: [("python", text)] for name, text in PYTHON.items()}
    cases |= {name: [("mho", line)] for name, line in DIRECT.items()}
    package = root / "src" / "mho"
    for kind, folder, line in (
        ("chip", package / "chip" / "presets", "show"),
        ("device", package / "machine" / "analog" / "devices" / "presets", "devices"),
    ):
        cases |= {
            f"{kind}-{path.stem}": [("mho", f"{line} {path.stem} {JSON}")] for path in sorted(folder.glob("*.yaml"))
        }
    cases |= {name: [("mho", MODEL), ("mho", line)] for name, line in OVER_SAMPLES.items()}
    cases |= {name: [("mho", f"run {line} {JSON}")] for name, line in RUNS.items()}
    for name in ("run-resnet20-seeded", "verify-digits"):
        cases[name].append(("mho", "list program.mho --json list.json"))
    cases["verify-digits"].append(
        ("mho", f"verify program.mho --data {SAMPLES}/digits.npz --samples 2 --json verified.json")
    )
    cases["recommender"] = [
        ("mho", MADE_UP),
        ("mho", f"run dlrm --trace made.npz --strategy naive --dimension 4 --verify {JSON}"),
    ]
    return cases


def in_options(text: str) -> str:
    """Say a command line without presets of strategies."""
    for preset, options in OLD_OPTIONS.items():
        text = text.replace(preset, options)
    return text
