"""The application ``superionic`` and how it ends when something is wrong."""

import logging
import signal
import sys
import warnings
from types import FrameType
from typing import Annotated

import typer

from superionic import __version__
from superionic.cli import (
    build,
    candidates,
    db,
    descriptors,
    doctor,
    evaluate,
    explain,
    fetch,
    init,
    label,
    plot,
    predict,
    query,
    recover,
    report,
    rerun,
    screen,
    serve,
    status,
    submit,
    train,
    validate,
    worker,
)
from superionic.cli.console import echo
from superionic.errors import SuperionicError
from superionic.text import PrintableFormatter

EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="superionic",
    help="Find superionic solid electrolytes with universal interatomic potentials.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command(name="screen")(screen.screen)
app.command(name="candidates")(candidates.candidates)
app.command(name="label")(label.label)
app.command(name="predict")(predict.predict)
app.command(name="validate")(validate.validate)
app.command(name="train")(train.train)
app.command(name="query")(query.query)
app.command(name="explain")(explain.explain)
app.command(name="serve")(serve.serve)
app.command(name="report")(report.report)
app.command(name="evaluate")(evaluate.evaluate)
app.command(name="plot")(plot.plot)
app.command(name="descriptors")(descriptors.descriptors)
app.command(name="doctor")(doctor.doctor)
app.command(name="init")(init.init)
app.command(name="build")(build.build)
app.command(name="submit")(submit.submit)
app.command(name="worker")(worker.worker)
app.command(name="status")(status.status)
app.command(name="rerun")(rerun.rerun)
app.command(name="recover")(recover.recover)
app.add_typer(db.app, name="db")
app.add_typer(fetch.app, name="fetch")


def _show_version(wanted: bool) -> None:
    if wanted:
        echo(f"superionic {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show version.")
    ] = False,
) -> None:
    """Take the options that all commands share."""


def main() -> None:
    """Run the command line; errors that a user may cause end in one line and exit code 1."""
    warnings.filterwarnings("ignore")
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        app(standalone_mode=True)
    except SuperionicError as error:
        echo(f"Error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _as_interrupt(signum: int, frame: FrameType | None) -> None:
    """Let SIGTERM end a command as Ctrl-C does, so that it leaves nothing behind."""
    raise KeyboardInterrupt
