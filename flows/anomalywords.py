"""The words of `bellwether anomaly …`; what they do loads only when it is asked for."""

import argparse
from collections.abc import Callable

__all__ = ["words_of_anomaly"]

_DATA = "./data"
_FORMATS = ("table", "csv", "json", "ndjson", "parquet")
_TOLD = ("run", "forecast")  # those that need the job's declaration


def words_of_anomaly(anomaly: argparse.ArgumentParser) -> None:
    """Declare the commands under `anomaly`."""
    commands = anomaly.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, help_text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=help_text, description=help_text, allow_abbrev=False)
        one.set_defaults(command=_acting(name))
        if name != "jobs":
            one.add_argument("job", metavar="JOB", help="the id of the job")
        told = name in _TOLD
        if told:
            one.add_argument("config", metavar="CONFIG", nargs="?", help="the YAML file")
        words = f"the data folder (default: {'what CONFIG says, else ' if told else ''}{_DATA})"
        one.add_argument("--data", metavar="DIR", default=None if told else _DATA, help=words)
        return one

    command("jobs", "List the jobs, with their states and counters.")
    _words_of_plot(command("plot", "Draw a job: series, bucket scores, influencers."))
    run = command("run", "Run a job over the stored events from a time on.")
    run.add_argument(
        "--from", dest="start", metavar="T", required=True, help="ISO 8601 or epoch milliseconds"
    )
    command("reset", "Forget all that a job has learned and found.")
    command("snapshots", "List the snapshots of a job's model.")
    revert = command("revert", "Take a job's model back to a snapshot.")
    revert.add_argument("snapshot", metavar="SNAPSHOT", help="see `anomaly snapshots`")
    revert.add_argument(
        "--delete-results", action="store_true", help="delete the results after it, too"
    )
    retain = command("retain", "Keep a snapshot for ever.")
    retain.add_argument("snapshot", metavar="SNAPSHOT", help="see `anomaly snapshots`")
    retain.add_argument("--off", action="store_true", help="no longer")
    ahead = command("forecast", "Say what a job expects of the time ahead.")
    ahead.add_argument(
        "--duration", metavar="T", default="1d", help="how far, as 12h (default: %(default)s)"
    )
    ahead.add_argument("--series", metavar="TEXT", help="a by or partition value")
    ahead.add_argument(
        "--format", choices=_FORMATS, default="table", help="form of the answer (default: table)"
    )


def _words_of_plot(plot: argparse.ArgumentParser) -> None:
    plot.add_argument(
        "--output", metavar="FILE", help="a name that ends in .png or .svg (default: JOB.png)"
    )
    plot.add_argument("--from", dest="start", metavar="T", help="ISO 8601 or epoch milliseconds")
    plot.add_argument("--to", dest="end", metavar="T", help="the first time that is left out")
    plot.add_argument("--detector", metavar="N", type=int, help="its place in the job, from 0 on")
    plot.add_argument(
        "--series",
        metavar="TEXT",
        help="a by, over or partition value (default: the series with the highest score)",
    )
    plot.add_argument(
        "--threshold",
        metavar="N",
        type=float,
        default=1.0,
        help="least score that is marked, 0 to 100 (default: %(default)g)",
    )


def _acting(name: str) -> Callable[[argparse.Namespace], int]:
    def act(told: argparse.Namespace) -> int:
        from flows.anomalycommands import COMMANDS  # noqa: PLC0415 - loads numpy and pyarrow

        return COMMANDS[name](told)

    return act
