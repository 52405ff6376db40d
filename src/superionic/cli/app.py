"""The application ``superionic`` and how it ends when something is wrong."""

import atexit
import gc
import logging
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from superionic import __version__
from superionic.cli import (
    analyse,
    build,
    candidates,
    compute,
    db,
    descriptors,
    distill,
    doctor,
    evaluate,
    fetch,
    init,
    plot,
    query,
    recover,
    report,
    serve,
    status,
    submit,
    train,
    worker,
)
from superionic.cli.console import EXIT_INTERRUPTED, echo
from superionic.console import saying
from superionic.errors import SuperionicError
from superionic.text import PrintableFormatter

_SHARED = ("--quiet", "-q", "--verbose", "-v")


class _Commands(TyperGroup):
    """Commands with options that all of them share, before or after the name of the command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the shared options first, wherever they stand."""
        end = args.index("--") if "--" in args else len(args)
        shared = [one for one in args[:end] if one in _SHARED]
        own = [one for one in args[:end] if one not in _SHARED]
        return super().parse_args(ctx, shared + own + args[end:])


app = typer.Typer(
    name="superionic",
    cls=_Commands,
    help="Find superionic solid electrolytes with universal interatomic potentials.",
    epilog="'superionic COMMAND --help' describes a command. --quiet and --verbose may follow it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_PANELS: dict[str, dict[str, Callable[..., None]]] = {
    "Compute": {
        "screen": compute.screen,
        "predict": compute.predict,
        "label": compute.label,
        "validate": compute.validate,
        "refine": compute.refine,
        "run": compute.run,
        "analyse": analyse.analyse,
        "descriptors": descriptors.descriptors,
    },
    "Look at results": {
        "query": query.query,
        "explain": query.explain,
        "plot": plot.plot,
        "report": report.report,
        "serve": serve.serve,
    },
    "Find crystals": {"candidates": candidates.candidates},
    "Run a campaign on a cluster": {
        "init": init.init,
        "submit": submit.submit,
        "worker": worker.worker,
        "status": status.status,
        "build": build.build,
        "rerun": recover.rerun,
        "recover": recover.recover,
    },
    "Train and judge": {
        "train": train.train,
        "distill": distill.distill,
        "evaluate": evaluate.evaluate,
    },
    "Installation": {"doctor": doctor.doctor},
}
for _panel, _commands in _PANELS.items():
    for _name, _command in _commands.items():
        app.command(name=_name, rich_help_panel=_panel)(_command)
app.add_typer(fetch.app, name="fetch", rich_help_panel="Find crystals")
app.add_typer(db.app, name="db", rich_help_panel="Installation")


def _show_version(wanted: bool) -> None:
    if wanted:
        echo(f"superionic {__version__}")
        raise typer.Exit


@app.callback()
def options(
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Results and errors only, no progress.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Show log, warnings of packages, tracebacks."),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show version.")
    ] = False,
) -> None:
    """Take the options that all commands share."""
    saying.quiet, saying.verbose = quiet, verbose
    logging.getLogger("superionic").setLevel(logging.DEBUG if verbose else logging.NOTSET)
    if verbose:
        warnings.resetwarnings()


def main(command: typer.Typer | None = None) -> None:
    """Run the command line; errors that a user may cause end in one line and exit code 1.

    Parameters
    ----------
    command : typer.Typer, optional
        What is run in place of ``superionic``; studies have commands of their own.
    """
    atexit.register(gc.freeze)  # to look for garbage at the end takes a short command 0.2 s
    warnings.filterwarnings("ignore")
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        (command or app)(standalone_mode=True)
    except SuperionicError as error:
        if saying.verbose:
            echo(traceback.format_exc(), err=True)
        echo(f"Error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _as_interrupt(signum: int, frame: FrameType | None) -> None:
    """Let SIGTERM end a command as Ctrl-C does, so that it leaves nothing behind."""
    raise KeyboardInterrupt
