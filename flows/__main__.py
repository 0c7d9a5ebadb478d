"""The command `bellwether`: run, serve, sql, export, repair, check, demo, anomaly, metrics, user.

Exit codes: 0; 1 when the machine or the program is at fault (a locked or damaged data folder, a
full disk, a fault of ours); 2 when the words of the command, the configuration, an input or a
query are.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

from engine.errors import BellwetherError, ConfigurationError, StoreError
from flows.anomalywords import words_of_anomaly
from flows.exportwords import words_of_export, words_of_repair
from flows.lettering import visible
from flows.metricswords import words_of_metrics
from flows.signals import Stopping, signal_kills
from flows.standard import take_standard_streams
from flows.userwords import words_of_user

if TYPE_CHECKING:
    from engine.config import Settings
    from flows.opening import Opening

__all__ = ["main"]

_DATA = "./data"
_SUFFIXES = {".csv": "csv", ".json": "json", ".ndjson": "ndjson", ".parquet": "parquet"}
_FORMATS = ("table", "csv", "json", "ndjson", "parquet")
_SQL_BYTES_MAX = 1 << 20
_ANOMALY = "Draw, list and change anomaly jobs."
_USER = "Add, remove and list the users of the REST server, with their API keys."
_EXPORT = "Write all results as Parquet files, as they are at one commit."
_REPAIR = "Say what is damaged in a data folder and what can be restored, and do that."
_METRICS = "Ask the metrics of jobs and models, of steps, and of processing."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; messages go to standard error.

    Parameters
    ----------
    argv : sequence of str or None
        The words behind `bellwether`; None: those of this process.
    """
    told = argparse.Namespace(process_ends=argv is None, leaves_at_once=False)
    if told.process_ends:
        take_standard_streams()
    code = _flushed(_done(argv, told))
    if told.leaves_at_once:
        # All is closed and flushed; to take the interpreter apart takes a fifth of a second more.
        os._exit(code)
    return code


def _done(argv: Sequence[str] | None, told: argparse.Namespace) -> int:
    try:
        command: Callable[[argparse.Namespace], int] = _parser().parse_args(argv, told).command
        return command(told)
    except BellwetherError as error:
        _say(str(error))
        return 1 if isinstance(error, StoreError) else 2
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except BrokenPipeError:
        return 0  # whoever reads has enough
    except KeyboardInterrupt:
        return 130
    except Exception:  # noqa: BLE001 - the last place to tell of a fault of ours
        traceback.print_exc()
        return 1


def _flushed(code: int) -> int:
    """Write what is left; what cannot be written must not be tried again at the end."""
    try:
        sys.stderr.flush()
        sys.stdout.flush()
    except (StoreError, OSError) as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, StoreError):
            _say(str(error))
            return code or 1
    return code


def _say(message: str) -> None:
    for line in message.splitlines() or [""]:
        sys.stderr.write(f"bellwether: {visible(line)}\n")


# ---- the words -------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Tells usage faults as all others are told."""

    def error(self, message: str) -> NoReturn:
        msg = f"{message}\ntry: {self.prog} --help"
        raise ConfigurationError(msg)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415 - seldom asked for

        sys.stdout.write(f"bellwether {version('bellwether')}\n")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="bellwether",
        description="Watches models that decide: labelled events in, exact results in DuckDB.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, act: Callable[[argparse.Namespace], int], help_text: str) -> _Parser:
        one: _Parser = commands.add_parser(
            name, help=help_text, description=help_text, allow_abbrev=False
        )
        one.set_defaults(command=act)
        return one

    _words_of_run(command("run", _run, "Read events to the end of the input, or for ever."))
    _words_of_serve(command("serve", _serve, "Run, and answer over REST meanwhile."))
    _words_of_sql(command("sql", _sql, "Ask the results, also while a run goes on."))
    for name, help_text, words in (
        ("export", _EXPORT, words_of_export),
        ("repair", _REPAIR, words_of_repair),
    ):
        words(commands.add_parser(name, help=help_text, description=help_text, allow_abbrev=False))
    check = command("check", _check, "Check a configuration file and say what would run.")
    check.add_argument("config", metavar="CONFIG", help="the YAML file")
    _words_of_demo(command("demo", _demo, "Watch a real model on real data, with a report."))
    anomaly = commands.add_parser(
        "anomaly", help=_ANOMALY, description=_ANOMALY, allow_abbrev=False
    )
    words_of_anomaly(anomaly)
    metrics = commands.add_parser(
        "metrics", help=_METRICS, description=_METRICS, allow_abbrev=False
    )
    words_of_metrics(metrics)
    user = commands.add_parser("user", help=_USER, description=_USER, allow_abbrev=False)
    words_of_user(user)
    return parser


def _words_of_run(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "config", metavar="CONFIG", nargs="?", help="YAML file; everything has a default"
    )
    run.add_argument(
        "--source",
        metavar="PATH|-",
        help="files (a path or a pattern), - for standard input, or kafka://host:port/topic",
    )
    run.add_argument("--data", metavar="DIR", help=f"the data folder (default: {_DATA})")
    run.add_argument("--follow", action="store_true", help="wait for more at the end of files")
    run.add_argument(
        "--dry-run-mail",
        action="store_true",
        help="print mails to standard output in place of sending them",
    )


def _words_of_serve(serve: argparse.ArgumentParser) -> None:
    _words_of_run(serve)
    serve.add_argument(
        "--host", default="127.0.0.1", help="the address to answer at (default: %(default)s)"
    )
    serve.add_argument(
        "--port",
        metavar="N",
        type=_port,
        default=8080,
        help="its port; 0: one that is free (default: %(default)s)",
    )


def _port(word: str) -> int:
    if not (word.isdecimal() and int(word) <= 65_535):
        msg = f"must be 0 to 65535, got {word}"
        raise argparse.ArgumentTypeError(msg)
    return int(word)


def _words_of_sql(sql: argparse.ArgumentParser) -> None:
    sql.add_argument("sql", metavar="SQL", help="one reading statement, or - for standard input")
    sql.add_argument(
        "--data", metavar="DIR", default=_DATA, help=f"the data folder (default: {_DATA})"
    )
    sql.add_argument(
        "--format",
        choices=_FORMATS,
        help="form of the answer (default: what the name of --output says, else table)",
    )
    sql.add_argument("--output", metavar="FILE", help="write the answer to a file")
    sql.add_argument(
        "--limit-seconds",
        metavar="N",
        type=float,
        default=30.0,
        help="stop a query that takes longer (default: %(default)g, at most 3600)",
    )


def _words_of_demo(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("--data", metavar="DIR", help="the data folder (default: a temporary one)")
    demo.add_argument(
        "--seed",
        metavar="N",
        type=int,
        default=7,
        help="seed of the labels' delays (default: %(default)s)",
    )
    demo.add_argument("--rows", metavar="N", type=int, help="take only the first N (default: all)")


# ---- the commands ----------------------------------------------------------------------------


def _run(told: argparse.Namespace) -> int:
    return _stopped_by_signals(told, _run_until)


def _demo(told: argparse.Namespace) -> int:
    return _stopped_by_signals(told, _demo_until)


def _stopped_by_signals(
    told: argparse.Namespace, act: Callable[[argparse.Namespace, Stopping], int]
) -> int:
    stopping = Stopping(process_ends=told.process_ends)
    try:
        return act(told, stopping)
    finally:
        stopping.done()
        told.leaves_at_once = told.process_ends


def _run_until(told: argparse.Namespace, stopping: Stopping) -> int:
    from engine.config import Settings  # noqa: PLC0415 - each command loads what it needs
    from flows.settings import Overrides, load  # noqa: PLC0415

    settings = load(told.config, Overrides(told.source, told.data, told.follow))
    defaulted = told.source is None and settings.sources == Settings().sources
    if defaulted and sys.stdin is not None and sys.stdin.isatty():
        msg = (
            "`run` must be given events, got a terminal as standard input: pipe them in"
            " (zcat events.ndjson.gz | bellwether run), or name files with --source or a CONFIG"
        )
        raise ConfigurationError(msg)
    mails_to = sys.stdout if told.dry_run_mail else None
    with _opening(settings, stopping, mails_to) as opening:
        from flows.run import run  # noqa: PLC0415 - loads Bytewax

        return run(settings, mails_to=mails_to, stop=stopping.begun(), opening=opening)


def _opening(settings: "Settings", stopping: Stopping, mails_to: IO[str] | None) -> "Opening":
    """Begin to open the data folder while the rest of the program is loaded."""
    from flows.opening import Opening, prepare_process  # noqa: PLC0415

    if settings.smtp is not None and mails_to is None:
        from flows.mailing import password_of  # noqa: PLC0415

        password_of(settings.smtp)  # a fault of the configuration leaves the folder alone
    prepare_process()
    return Opening(settings, stopping.event)


def _serve(told: argparse.Namespace) -> int:
    return _stopped_by_signals(told, _serve_until)


def _serve_until(told: argparse.Namespace, stopping: Stopping) -> int:
    from dataclasses import replace  # noqa: PLC0415

    from engine.config import Settings  # noqa: PLC0415
    from flows.settings import Overrides, load  # noqa: PLC0415

    settings = load(told.config, Overrides(told.source, told.data, told.follow))
    if told.source is None and settings.sources == Settings().sources:
        settings = replace(settings, sources=())  # what is handed in is enough
    mails_to = sys.stdout if told.dry_run_mail else None
    with _opening(settings, stopping, mails_to) as opening:
        # Loads Bytewax and the web framework.
        from flows.serve import Address, serve  # noqa: PLC0415

        return serve(settings, Address(told.host, told.port), mails_to, stopping.begun(), opening)


def _check(told: argparse.Namespace) -> int:
    from flows.mailing import password_of  # noqa: PLC0415
    from flows.settings import load, summary  # noqa: PLC0415

    try:
        settings = load(told.config)
    except ConfigurationError as error:
        # As compilers do: the file and the line come first, so that an editor can jump there.
        sys.stderr.write("".join(f"{visible(line)}\n" for line in str(error).splitlines()))
        return 2
    password_of(settings.smtp)
    sys.stdout.write(f"ok: {told.config}: {summary(settings)}\n")
    return 0


def _demo_until(told: argparse.Namespace, stopping: Stopping) -> int:
    from flows.demo import demo  # noqa: PLC0415 - loads River and Bytewax

    return demo(told.data, told.seed, told.rows, stopping.begun())


def _sql(told: argparse.Namespace) -> int:
    form = told.format or _SUFFIXES.get(Path(told.output or "").suffix, "table")
    terminal = told.output is None and sys.stdout.isatty()
    if form == "parquet" and terminal:
        msg = "`--format parquet` must go to a file (--output) or a pipe, got a terminal"
        raise ConfigurationError(msg)
    sql = _statement(told.sql)
    from connectors.sqlclient import query  # noqa: PLC0415 - loads pyarrow
    from flows.render import write  # noqa: PLC0415

    with signal_kills():
        table = query(told.data, sql, told.limit_seconds)
    width = (os.get_terminal_size(sys.stdout.fileno()).columns or 80) if terminal else None
    try:
        with _opened(told.output) as out:
            write(table, form, out, terminal_width=width)
    except BrokenPipeError:
        raise
    except OSError as error:
        msg = f"the answer cannot be written: {error.strerror}"
        raise StoreError(msg) from error
    return 0


def _statement(word: str) -> str:
    if word != "-":
        return word
    content = sys.stdin.buffer.read(_SQL_BYTES_MAX + 1)
    if len(content) > _SQL_BYTES_MAX:
        msg = f"the query must be at most {_SQL_BYTES_MAX} bytes, got more"
        raise ConfigurationError(msg)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        msg = f"the query must be UTF-8, got the byte 0x{content[error.start]:02x}"
        raise ConfigurationError(msg) from error


def _opened(path: str | None) -> AbstractContextManager[IO[bytes]]:
    if path is None:
        return nullcontext(sys.stdout.buffer)
    try:
        return Path(path).open("wb")
    except OSError as error:
        msg = f"`--output` must be a file that can be written, got {path}: {error.strerror}"
        raise ConfigurationError(msg) from error


if __name__ == "__main__":
    sys.exit(main())
