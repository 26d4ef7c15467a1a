"""Command lines, and the values of their options."""

from __future__ import annotations

from functools import cache

from tests.fuzz import alter
from tests.fuzz.bench import Bench, kind, options_of, requests


def _value(bench: Bench, option: str) -> str:
    """Return a value for an option: a word, a number, or a file of some kind."""
    files = sorted(each.name for each in bench.corpus.iterdir())
    kinds = ("word", "word", "word", "number", "file", "set")
    match bench.pick(*kinds):
        case "word":
            return str(bench.pick(*alter.WORDS))
        case "number":
            return str(bench.pick(*alter.NUMBERS))
        case "set":
            return f"{_key(bench)}={bench.pick(*alter.NUMBERS)}"
        case _:
            return bench.right(bench.pick(*files))


@cache
def _chip_keys() -> tuple[str, ...]:
    from mho.chip import Chip

    return (*(key for key in Chip.load("aras").provenance if not key[-1].isdigit()), "components.adc", "tiles", "x.y")


def _key(bench: Bench) -> str:
    analog = (
        "adc.bits",
        "adc.range",
        "adc.limit",
        "adc.gain_error",
        "seed",
        "age_s",
        "writes",
        "pedestal",
        "wires.row_ohm",
    )
    device = (
        "device.programming.sigma",
        "device.stuck.on_share",
        "device.g_on_s",
        "device.on_off",
        "device.read.sigma",
    )
    return str(
        bench.pick(
            bench.pick(*_chip_keys()), bench.pick(*analog), bench.pick(*device), f"chip.{bench.pick(*_chip_keys())}"
        )
    )


@kind(22)
def words(bench: Bench) -> list[str]:
    """Options with wrong, huge, empty or repeated values, unknown ones, too few and too many words."""
    listing = options_of()
    command = bench.pick(*listing)
    request = list(requests(bench).get(command, [command]))
    for _ in range(bench.pick(1, 1, 2, 3)):
        option, valued, output = bench.pick(*listing[command]) if listing[command] else ("--none", True, False)
        given = _value(bench, option)
        if output and given.startswith("/"):
            given = bench.pick("there/x", "x.json", "x.mho")  # Never outside the folder, nor over a right file.
        match bench.pick("value", "value", "value", "value", "bare", "unknown", "extra", "drop", "twice", "equals"):
            case "value":
                request += [option, given] if valued else [option]
            case "equals":
                request += [f"{option}={given}"]
            case "bare":
                request += [option]
            case "unknown":
                request += [option[: bench.rng.randrange(1, len(option))], given]
            case "extra":
                request.insert(
                    bench.rng.randrange(min(1, len(request)), len(request) + 1), str(bench.pick(*alter.WORDS))
                )
            case "drop" if request:
                del request[bench.rng.randrange(len(request))]
            case "twice":
                request += [option, given, option, given] if valued else [option, option]
    return request if request[:1] != ["study"] or "none" in request else ["study", "none", "--out", "out"]


@kind(12)
def settings(bench: Bench) -> list[str]:
    """Values of --set and --over, in and out of their range."""
    key, value = _key(bench), bench.pick(*alter.NUMBERS, *alter.WORDS[:60])
    right = requests(bench)
    match bench.pick("show", "run", "accuracy", "sweep", "baseline"):
        case "show":
            return [
                "show",
                bench.pick("aras", "isaac", "sme", "recross"),
                "--set",
                f"{key.removeprefix('chip.')}={value}",
            ]
        case "run":
            return [*right["run"], "--set", f"{key.removeprefix('chip.')}={value}"]
        case "accuracy":
            return [*right["accuracy"], "--set", f"{key}={value}"]
        case "sweep":
            return [*right["sweep"][:-2], "--over", f"{key}={value}"]
    keys = (
        "rows",
        "columns",
        "frequency_hz",
        "memory.bandwidth",
        "buffer.bank_bytes",
        "vector.lanes",
        "products",
        "sum_bytes",
    )
    return [*right["baseline"], "--set", f"{bench.pick(*keys)}={value}"]


@kind(4)
def synthetic_trace(bench: Bench) -> list[str]:
    """A trace that is made up."""
    right = ["trace", "--synthetic", "--queries", "50", "--rows", "30"]
    option = bench.pick(
        "--mean-length",
        "--lengths",
        "--popularity",
        "--community-size",
        "--cohesion",
        "--seed",
        "--history",
        "--shards",
    )
    laws = (
        "zipf:0",
        "zipf:-1",
        "zipf:1e308",
        "zipf:nan",
        "zipf:",
        "reuse:x",
        "reuse:",
        "uniform:1",
        "fixed",
        "poisson",
        "geometric",
    )
    value = str(bench.pick(bench.pick(*alter.NUMBERS), bench.pick(*alter.WORDS), bench.pick(*laws)))
    change = bench.pick("more", "more", "queries", "rows")
    if change != "more":
        right[right.index(f"--{change}") + 1] = value
        return right
    return [*right, option, value, *bench.pick([], ["--distinct"], ["--community-size", "8"], ["--json", "-"])]
