"""The commands together, and how a run of them ends."""

from __future__ import annotations

import io
import os
import sys
import traceback
import warnings
from functools import cache
from typing import Annotated, Any, cast

import typer
import typer.main

from mho.cli import (
    accuracy,
    advise,
    autorac,
    baseline,
    compare,
    explore,
    init,
    listings,
    recommend,
    robust,
    rtl,
    run,
    study,
    sweep,
    trace,
    train,
    verify,
    warm,
)
from mho.cli.command import Command, InterruptedWorkError
from mho.cli.spread import spread
from mho.cli.strategy import ComparingCommand, ExploringCommand, StrategyCommand, TablesCommand, WholeCommand
from mho.errors import LONGEST, SUBJECT, MhoError, StrategyError, one_line
from mho.version import __version__

WRONG_REQUEST, FAULT, INTERRUPTED, BROKEN_PIPE = 2, 70, 130, 141
PREFIX = "mho: "

# The base of typer's errors of usage; which module holds it differs over typer's versions.
UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="mho",
    help="Compile neural networks onto resistive crossbar chips; learn time, energy, area, wear, and whether it is right.",
    epilog="Start with: mho run resnet50 --out report",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.command(cls=WholeCommand, epilog=run.EPILOG)(spread(run.run))
app.command(cls=ComparingCommand, epilog=compare.EPILOG)(spread(compare.compare))
app.command(cls=StrategyCommand, epilog=advise.EPILOG)(spread(advise.advise))
app.command(cls=ComparingCommand, epilog=robust.EPILOG)(spread(robust.robust))
app.command(cls=StrategyCommand, epilog=verify.EPILOG)(spread(verify.verify))
app.command(cls=StrategyCommand, epilog=accuracy.EPILOG)(spread(accuracy.accuracy))
app.command(cls=StrategyCommand, epilog=sweep.EPILOG)(spread(sweep.sweep))
app.command(cls=ExploringCommand, epilog=explore.EPILOG)(spread(explore.explore))
app.command(cls=Command, epilog=autorac.EPILOG)(spread(autorac.autorac))
app.command(cls=Command, epilog=baseline.EPILOG)(spread(baseline.baseline))
app.command(cls=Command, epilog=study.EPILOG)(spread(study.study))
app.command(cls=Command, epilog=trace.EPILOG)(spread(trace.trace))
app.command(cls=Command, epilog=train.EPILOG)(spread(train.train))
app.command(cls=TablesCommand, epilog=recommend.EPILOG)(spread(recommend.recommend))
app.command(cls=Command)(spread(listings.models))
app.command(cls=Command)(spread(listings.chips))
app.command(cls=Command, epilog="mho devices taox\n\nmho devices my-cells.yaml --csv -")(spread(listings.devices))
app.command(cls=Command, epilog="mho show aras --set tiles=48\n\nmho show my-chip.yaml --json -")(spread(listings.show))
app.command("list", cls=Command)(spread(listings.list_program))
app.command(cls=Command, epilog=rtl.EPILOG)(spread(rtl.rtl))
app.command(cls=Command, epilog=init.EPILOG)(spread(init.init))
app.command(cls=Command, epilog=warm.EPILOG)(spread(warm.warm))


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"mho {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@cache
def command() -> Any:
    """Build the command line from its functions' signatures, once a process: it takes longer than most refusals."""
    return typer.main.get_command(app)


def _with_bare_json(arguments: list[str]) -> list[str]:
    """Give a --json that nothing follows its file: standard output."""
    words = []
    for place, word in enumerate(arguments):
        words.append(word)
        following = arguments[place + 1] if place + 1 < len(arguments) else "--"
        if word == "--json" and following.startswith("--"):
            words.append("-")
    return words


def _run(arguments: list[str]) -> int:
    """Run the command line and return its exit code; a user's mistake is told in one line."""
    if not sys.warnoptions:
        # A library's warnings are for who writes programs; what a user must know stands in the result.
        warnings.simplefilter("ignore")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal's code does not have is shown by its escape.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = command()(_with_bare_json(arguments), standalone_mode=False)
        sys.stdout.flush()
    except UsageError as error:
        text, code = cast(typer.BadParameter, error).format_message(), WRONG_REQUEST
    except StrategyError as error:
        # A stage that a command is not for comes from a preset or a file, and the command may have no option for it.
        strange = error.bound == SUBJECT and not any(word.startswith(f"--{error.option}") for word in arguments)
        text, code = str(error) if strange else error.written(), WRONG_REQUEST
    except MhoError as error:
        text, code = str(error), WRONG_REQUEST
    except BrokenPipeError:
        # What was left to say would fail again when Python closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except SystemExit as left:
        # Typer turns a broken pipe into exit code 1, which is ours for a program found wrong.
        if isinstance(left.__context__, BrokenPipeError):
            return BROKEN_PIPE
        raise
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        text, code = f"{where}{error.strerror or error}", WRONG_REQUEST
    except MemoryError as error:
        text, code = f"not enough memory {error}".strip(), WRONG_REQUEST
    except InterruptedWorkError as error:
        text, code = f"interrupted: {error}", INTERRUPTED
    except (KeyboardInterrupt, typer.Abort):
        text, code = "interrupted", INTERRUPTED
    except Exception:
        # A fault of mho's own. Python would end with 1, which says that a program was found wrong.
        traceback.print_exc()
        text, code = "this is a fault of mho; please report it with the lines above", FAULT
    else:
        code = code if isinstance(code, int) else 0
        if code != INTERRUPTED:
            return code
        text = "interrupted"
    sys.stderr.write(f"{PREFIX}{one_line(text, LONGEST - len(PREFIX))}\n")
    return code


def main() -> None:
    """Run the command line: 0 done, 1 found wrong, 2 asked wrongly, 130 interrupted, 70 a fault of mho itself.

    No traceback for a user's mistake.
    """
    raise SystemExit(_run(sys.argv[1:]))
