"""mho baseline: what a model costs on a systolic array of the same technology, memory and clock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mho.cli.inputs import ModelOptions, load_network, varied
from mho.cli.outputs import Target, progress

EPILOG = "mho baseline resnet50\n\nmho baseline bert-base --dataflow weight --set products=array --json -"


def baseline(
    model: str,
    *,
    systolic: str = "tpu-like",
    overrides: list[str] | None = None,
    dataflow: str = "best",
    batch: int | None = None,
    input_size: int | None = None,
    sequence: int | None = None,
    shape: list[str] | None = None,
    uncertainty: bool = False,
    out: Path | None = None,
    target: Target,
) -> None:
    """Tell what a model costs on a systolic array (TPU-like), in the same component costs as the chips of crossbars."""
    target.check(out=out)
    from mho.machine.systolic import Systolic, check_dataflow, run
    from mho.report.views import save

    check_dataflow(dataflow)
    loaded = varied(Systolic.load(systolic), overrides, "rows=128")
    with progress(target.quiet) as say:
        say(f"importing {model}")
        # Neither time nor energy depends on the values of weights.
        network = load_network(model, ModelOptions(None, None, batch, input_size, sequence, shape), values=False)
        say("counting")
        result = run(network, loaded, dataflow)
        if uncertainty:
            from mho.machine.uncertainty import uncertainty as priced

            say("pricing")
            result = replace(result, uncertainty=priced(result))
        if out is not None:
            save(result, out)
    target.deliver(result, "layers", f"written to {out / 'baseline.html'} and baseline.json" if out else "")
