"""The words of `bellwether metrics …`; what they do loads only when it is asked for."""

import argparse
from collections.abc import Callable

__all__ = ["words_of_metrics"]

_DATA = "./data"


def words_of_metrics(metrics: argparse.ArgumentParser) -> None:
    """Declare the commands under `metrics`."""
    commands = metrics.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, help_text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=help_text, description=help_text, allow_abbrev=False)
        one.set_defaults(command=_acting(name))
        return one

    def shared(one: argparse.ArgumentParser, *formats: str) -> None:
        one.add_argument(
            "--data", metavar="DIR", default=_DATA, help="the data folder (default: %(default)s)"
        )
        one.add_argument(
            "--format",
            choices=formats,
            default="table",
            help="form of the answer (default: %(default)s); json: as the REST contract has it",
        )

    job = command("job", "How a job decides, and how its active model does.")
    _words_of_job(job)
    shared(job, "table", "json")
    steps = command("steps", "Step metrics of a job, of one name, of an experiment.")
    _words_of_steps(steps)
    shared(steps, "table", "json")
    plot = command("plot", "Counts and timings by hour, and everything else that can be plotted.")
    _words_of_plot(plot)
    shared(plot, "table", "csv", "json")


def _words_of_job(job: argparse.ArgumentParser) -> None:
    job.add_argument("job", metavar="JOB", help="the id of the job")
    job.add_argument(
        "--from", dest="start", metavar="T", help="ISO 8601 or epoch milliseconds: event time"
    )
    job.add_argument("--to", dest="end", metavar="T", help="the first time that is left out")
    job.add_argument(
        "--filter",
        dest="filters",
        metavar="'FIELD OPERATOR VALUE'",
        action="append",
        default=[],
        help="such as 'features.city is Boston', 'score gte 0.5', 'label is one of a, b' or"
        " 'label exists'; all of several must hold",
    )
    job.add_argument(
        "--top", metavar="N", type=int, help="how many changed events and buckets are named"
    )
    job.add_argument(
        "--timeout-s",
        metavar="N",
        type=int,
        default=120,
        help="longest wait for the model's metrics (default: %(default)s)",
    )
    job.add_argument("--job-only", action="store_true", help="leave out the model's metrics")


def _words_of_steps(steps: argparse.ArgumentParser) -> None:
    steps.add_argument("job", metavar="JOB", nargs="?", help="the id of the job")
    steps.add_argument("name", metavar="NAME", nargs="?", help="a metric: all its steps")
    steps.add_argument("--experiment", metavar="ID", help="the latest values of all its jobs")
    steps.add_argument("--index", metavar="N", type=int, help="which page, from 0 (default: 0)")
    steps.add_argument("--page-length", metavar="N", type=int, help="entries a page (default: 10)")
    steps.add_argument("--sort-by", metavar="PROPERTY", help="of the jobs (default: id)")
    steps.add_argument("--descending", action="store_true", help="greatest first")
    steps.add_argument("--search", metavar="TEXT", help="such as 'metric:loss*, status:done'")


def _words_of_plot(plot: argparse.ArgumentParser) -> None:
    plot.add_argument("catalogue", metavar="CATALOGUE", nargs="?", help="see --list")
    plot.add_argument("--list", action="store_true", help="list the catalogues")
    plot.add_argument(
        "--details", action="store_true", help="list the catalogue's columns and choices"
    )
    for name, what in (
        ("column", "a column (default: all)"),
        ("group", "all columns of a group"),
        ("choice", "id or name of a choice (default: all of them as one)"),
    ):
        plot.add_argument(
            f"--{name}",
            dest=f"{name}s",
            metavar=name.upper(),
            action="append",
            default=[],
            help=f"{what}; may be repeated",
        )
    plot.add_argument("--started", metavar="T", help="ISO 8601, or a duration back from now: P30D")
    plot.add_argument("--ended", metavar="T", help="the same (default: now)")
    plot.add_argument("--page", metavar="N", type=int, help="of columns, from 1 (default: 1)")
    plot.add_argument("--page-size", metavar="N", type=int, help="columns a page (default: 100)")
    plot.add_argument("--output", metavar="FILE", help="draw it: a name that ends in .png or .svg")


def _acting(name: str) -> Callable[[argparse.Namespace], int]:
    def act(told: argparse.Namespace) -> int:
        from flows.metricscommands import COMMANDS  # noqa: PLC0415 - loads pyarrow

        return COMMANDS[name](told)

    return act
