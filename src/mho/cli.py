"""The command line: one thin door to the public interface."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mho.errors import MhoError, OptionError, OutputError
from mho.version import __version__

if TYPE_CHECKING:
    from mho.chip import Chip
    from mho.network.graph import Network
    from mho.network.samples import Samples
    from mho.number import QuantisedNetwork

app = typer.Typer(
    name="mho",
    help="Compile neural networks onto resistive crossbar chips; learn time, energy, area, wear, and whether it is right.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Model = Annotated[str, typer.Argument(help="a known model (mho models), or the path of an .onnx file")]
ChipName = Annotated[str, typer.Option("--chip", help="a preset (mho chips), or the path of a chip's YAML file")]
Override = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="change a value of the chip, in SI units: --set tiles=48"),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="'none' (shapes alone), 'seeded' (synthetic) or a .safetensors file; default: none, or seeded to verify"
    ),
]
Seed = Annotated[int, typer.Option(help="the seed of synthetic weights and samples")]
Batch = Annotated[int, typer.Option(min=1, help="samples per inference")]
InputSize = Annotated[int | None, typer.Option(min=1, help="height and width of an image model's input")]
Sequence = Annotated[int | None, typer.Option(min=1, help="tokens per sample of a language model")]
ScheduleName = Annotated[str, typer.Option(help="naive, overlap")]
MappingName = Annotated[str, typer.Option(help="dense")]
Packing = Annotated[
    str,
    typer.Option(help="small matrices of grouped convolutions: 'diagonal' shares groups, 'separate' does not"),
]
Residency = Annotated[
    str, typer.Option(help="'auto': weights stay if the whole network fits; 'never': written every inference")
]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="write JSON to a file; '-': to standard output, and nothing else"),
]
PerChannel = Annotated[
    bool, typer.Option("--per-channel", help="one weight scale an output channel instead of one a tensor")
]
Data = Annotated[Path | None, typer.Option(help="samples (.npz) to execute; synthetic ones if not given")]
Calibration = Annotated[
    Path | None,
    typer.Option(help="samples (.npz) that set the activations' ranges; default: those executed"),
]
Key = Annotated[str | None, typer.Option(help="the array in the .npz files, where its name does not tell")]


@contextmanager
def _progress(quiet: bool) -> Iterator[Any]:
    """Show what is being done, on standard error, until it is done."""
    from rich.console import Console

    console = Console(stderr=True, quiet=quiet)
    with console.status("") as status:
        yield lambda text: status.update(f"{text} ...")


def _chip(name: str, overrides: list[str] | None) -> Chip:
    """Load a chip and change what the user asked to be changed."""
    from mho.chip import Chip

    chip = Chip.load(name)
    changes: dict[str, Any] = {}
    for each in overrides or []:
        key, equals, text = each.partition("=")
        if not equals:
            raise OptionError(f"--set takes KEY=VALUE, not {each!r}")
        try:
            changes[key] = json.loads(text)
        except ValueError:
            changes[key] = text
    return chip.override(changes, source="given on the command line") if changes else chip


def _network(
    model: str,
    weights: str | None,
    seed: int,
    batch: int,
    input_size: int | None,
    sequence: int | None,
    *,
    values: bool,
) -> Network:
    """Load a model: from a file, or a known one with or without weights."""
    from mho.network import Network, zoo

    if model.endswith(".onnx"):
        for given, name in ((weights, "--weights"), (input_size, "--input-size"), (sequence, "--sequence")):
            if given is not None:
                raise OptionError(f"{name} is for known models; {model} brings its own")
        if batch != 1:
            raise OptionError(f"--batch is for known models; {model} brings its own")
        return Network.from_onnx(model)
    origin = weights if weights is not None else "seeded" if values else "none"
    return zoo.load(model, weights=origin, seed=seed, batch=batch, input_size=input_size, sequence=sequence)


def _emit(data: dict[str, Any], target: str | None) -> bool:
    """Write JSON where asked; say whether standard output was taken by it."""
    if target is None:
        return False
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return True
    from mho.report.files import write_text

    write_text(Path(target), text)
    return False


def _samples(network: Network, data: Path | None, key: str | None, count: int, seed: int) -> Samples:
    from mho.network.samples import load_samples, synthetic

    if data is None:
        return synthetic(network, count, seed)
    return load_samples(data, network, key=key)


def _quantise(network: Network, measured: Samples, per_channel: bool) -> QuantisedNetwork:
    """Quantise with activations calibrated on samples, and note which."""
    from dataclasses import replace

    import mho

    quantised = mho.quantise(network, measured.inputs, per_channel=per_channel)
    return replace(quantised, notes=(*quantised.notes, f"activations calibrated on {measured.origin}"))


@app.command()
def run(
    model: Model,
    chip: ChipName = "aras",
    schedule: ScheduleName = "overlap",
    mapping: MappingName = "dense",
    packing: Packing = "diagonal",
    residency: Residency = "auto",
    overrides: Override = None,
    weights: Weights = None,
    seed: Seed = 0,
    batch: Batch = 1,
    input_size: InputSize = None,
    sequence: Sequence = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="execute the program too, and compare with the integer reference")
    ] = False,
    data: Data = None,
    calibration: Calibration = None,
    key: Key = None,
    per_channel: PerChannel = False,
    out: Annotated[Path | None, typer.Option(help="a folder for report.json, report.html and trace.json")] = None,
    save: Annotated[Path | None, typer.Option(help="keep the program in a .mho file")] = None,
    json_to: Json = None,
) -> None:
    """Compile a model for a chip and report time, energy, area and wear; with --verify, whether it computes the right thing."""
    from rich.console import Console

    import mho
    from mho.report.terminal import summary

    with _progress(quiet=json_to == "-") as say:
        say("loading the chip")
        loaded = _chip(chip, overrides)
        say(f"importing {model}")
        network = _network(model, weights, seed, batch, input_size, sequence, values=verify or data is not None)
        verdict = None
        if verify:
            samples = _samples(network, data, key, 1, seed + 1).first(1)
            say("quantising")
            measured = _samples(network, calibration or data, key, 4, seed).first(32)
            quantised = _quantise(network, measured, per_channel)
            say("compiling")
            program = mho.compile(
                quantised, loaded, schedule=schedule, mapping=mapping, packing=packing, residency=residency
            )
            say("executing the program and the integer reference")
            verdict = mho.verify(program, samples.inputs)
        else:
            say("compiling")
            program = mho.compile(
                network, loaded, schedule=schedule, mapping=mapping, packing=packing, residency=residency
            )
        say("simulating")
        report = mho.simulate(program, verified=None if verdict is None else str(verdict))
        if save is not None:
            say(f"writing {save}")
            program.save(str(save))
        if out is not None:
            say(f"writing {out}")
            report.save(out)
    if not _emit(report.to_dict(), json_to):
        console = Console()
        summary(report, console)
        if out is not None:
            console.print(
                f"report written to {out}/report.html, report.json and trace.json (for Perfetto)",
                highlight=False,
            )
    if verdict is not None and not verdict.ok:
        raise typer.Exit(1)


@app.command()
def compare(
    model: Model,
    chip: ChipName = "aras",
    schedule: Annotated[
        str, typer.Option(help="schedules, separated by commas; the first is what others are compared with")
    ] = "naive,overlap",
    mapping: MappingName = "dense",
    packing: Packing = "diagonal",
    residency: Residency = "auto",
    overrides: Override = None,
    weights: Weights = None,
    seed: Seed = 0,
    batch: Batch = 1,
    input_size: InputSize = None,
    sequence: Sequence = None,
    json_to: Json = None,
) -> None:
    """Compare schedules of one model on one chip."""
    from rich.console import Console

    import mho
    from mho.report.terminal import comparison

    with _progress(quiet=json_to == "-") as say:
        loaded = _chip(chip, overrides)
        say(f"importing {model}")
        network: Any = _network(model, weights, seed, batch, input_size, sequence, values=False)
        if network.has_values:
            say("quantising")
            network = mho.quantise(network)
        reports = []
        for name in schedule.split(","):
            say(f"{name}")
            program = mho.compile(
                network, loaded, schedule=name.strip(), mapping=mapping, packing=packing, residency=residency
            )
            reports.append(mho.simulate(program))
    if not _emit({"schema": "mho.comparison/1", "reports": [report.to_dict() for report in reports]}, json_to):
        comparison(reports, Console())


@app.command()
def verify(
    model: Annotated[str, typer.Argument(help="a known model, the path of an .onnx file, or of a program (.mho)")],
    chip: ChipName = "aras",
    schedule: ScheduleName = "overlap",
    mapping: MappingName = "dense",
    packing: Packing = "diagonal",
    residency: Residency = "auto",
    overrides: Override = None,
    weights: Weights = None,
    seed: Seed = 0,
    batch: Batch = 1,
    input_size: InputSize = None,
    sequence: Sequence = None,
    data: Data = None,
    calibration: Calibration = None,
    key: Key = None,
    samples: Annotated[int, typer.Option(min=1, help="samples to execute")] = 1,
    accuracy: Annotated[
        bool, typer.Option("--accuracy", help="also the top-1 accuracy of float and integer on all samples")
    ] = False,
    per_channel: PerChannel = False,
    json_to: Json = None,
) -> None:
    """Execute a program cell by cell, compare with the integer reference bit for bit, and check that it is legal.

    Exit code 0 if it is exact and legal, 1 if not, 2 for a mistake in what was asked.
    """
    from rich.console import Console

    import mho

    with _progress(quiet=json_to == "-") as say:
        if model.endswith(".mho"):
            program = mho.Program.load(model)
            given = _samples(program.network, data, key, samples, seed + 1)
        else:
            loaded = _chip(chip, overrides)
            say(f"importing {model}")
            network = _network(model, weights, seed, batch, input_size, sequence, values=True)
            given = _samples(network, data, key, samples, seed + 1)
            measured = _samples(network, calibration or data, key, 4, seed).first(256)
            say(f"quantising, calibrated on {measured.origin}")
            quantised = _quantise(network, measured, per_channel)
            say("compiling")
            program = mho.compile(
                quantised, loaded, schedule=schedule, mapping=mapping, packing=packing, residency=residency
            )
        say(f"executing {len(program.instructions)} instructions, and the integer reference")
        verdict = mho.verify(program, given.first(samples).inputs)
        result: dict[str, Any] = {
            "schema": "mho.verification/1",
            "version": __version__,
            "model": program.network.name,
            "weights_origin": program.network.origin,
            "chip": {"name": program.chip.name, "digest": program.chip.digest},
            "schedule": program.schedule,
            "samples": verdict.samples,
            "data": given.origin,
            "bit_exact": verdict.exact,
            "legal": not verdict.illegal,
            "text": str(verdict),
            "accuracy": None,
            "notes": list(program.notes),
        }
        if accuracy:
            result["accuracy"] = _accuracy(program, given, say)
    if not _emit(result, json_to):
        console = Console()
        mark = "[green]ok[/]" if verdict.ok else "[red]WRONG[/]"
        console.print(
            f"{mark}  {program.network.name} on {program.chip.name}, {program.schedule}: {verdict}",
            highlight=False,
        )
        console.print(f"    samples: {given.origin}; weights: {program.network.origin}", highlight=False)
        if result["accuracy"] is not None:
            found = result["accuracy"]
            console.print(
                f"    top-1 on {found['samples']} samples: {found['integer']:.4f} in 8-bit integers, {found['float']:.4f} in float",
                highlight=False,
            )
    if not verdict.ok:
        raise typer.Exit(1)


def _accuracy(program: Any, given: Samples, say: Any) -> dict[str, float]:
    """Compare float and integer top-1 on all samples; the program computes what the integer reference does, bit for bit."""
    import numpy as np

    from mho.number import run_float, run_reference

    if given.labels is None:
        raise OptionError("--accuracy needs samples with labels (an array 'y'); give them with --data")
    name = program.network.outputs[0]
    right = {"float": 0, "integer": 0}
    step = 200
    for first in range(0, len(given), step):
        say(f"accuracy, sample {first} of {len(given)}")
        part = tuple(array[first : first + step] for array in given.inputs)
        labels = given.labels[first : first + step].astype(np.int64)
        outputs = {
            "float": run_float(program.network, part)[name] if program.network.has_values else None,
            "integer": run_reference(program.quantised, part)[name],
        }
        for kind, scores in outputs.items():
            if scores is None:
                raise OptionError("a program file holds codes alone; --accuracy needs the model itself")
            flat = scores.reshape(len(scores), -1)
            # Networks with 1001 outputs count a background class before the 1000.
            right[kind] += int(np.sum(flat.argmax(axis=1) == labels + (flat.shape[1] == 1001)))
    return {"samples": len(given), **{kind: count / len(given) for kind, count in right.items()}}


@app.command()
def models(json_to: Json = None) -> None:
    """List the models that are known by name."""
    from rich.console import Console
    from rich.table import Table

    from mho.network import zoo

    if not _emit({"schema": "mho.models/1", "models": list(zoo.names())}, json_to):
        table = Table("model", box=None)
        for name in zoo.names():
            table.add_row(name)
        Console().print(table)


@app.command()
def chips(json_to: Json = None) -> None:
    """List the chip presets."""
    from rich.console import Console

    from mho.chip import Chip
    from mho.report.chips import chip_table

    presets = [Chip.load(name) for name in Chip.presets()]
    listing = [{"name": chip.name, "description": chip.description, "digest": chip.digest} for chip in presets]
    if not _emit({"schema": "mho.chips/1", "chips": listing}, json_to):
        Console().print(chip_table(presets))


@app.command()
def show(
    chip: Annotated[str, typer.Argument(help="a preset, or the path of a chip's YAML file")],
    overrides: Override = None,
    json_to: Json = None,
) -> None:
    """Show a chip: its specification, and area, power and leakage rolled up from its components."""
    from rich.console import Console

    from mho.report.chips import show_chip

    loaded = _chip(chip, overrides)
    if not _emit(loaded.describe(), json_to):
        show_chip(loaded, Console())


@app.command("list")
def list_program(
    program: Annotated[Path, typer.Argument(help="a program (.mho), as kept by mho run --save")],
    json_to: Json = None,
) -> None:
    """List a program's instructions."""
    from mho.program import Program

    loaded = Program.load(str(program))
    text = loaded.listing()
    lines = text.splitlines()
    if not _emit({"schema": "mho.listing/1", "title": lines[0].removeprefix("; "), "instructions": lines[1:]}, json_to):
        sys.stdout.write(text)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="print the version")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line: 0 done, 1 found wrong, 2 asked wrongly, 130 interrupted. No traceback for a user's mistake."""
    arguments = sys.argv[1:]
    for place, word in enumerate(arguments):
        # A bare --json means standard output.
        if word == "--json" and (place + 1 == len(arguments) or arguments[place + 1].startswith("--")):
            arguments.insert(place + 1, "-")
            break
    try:
        app(arguments)
    except (MhoError, OutputError) as error:
        text = " ".join(str(error).split())
        sys.stderr.write(f"mho: {text}\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        sys.stderr.write("mho: interrupted\n")
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(141) from None


if __name__ == "__main__":
    main()
