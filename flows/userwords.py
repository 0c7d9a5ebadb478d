"""The words of `bellwether user …`; what they do loads only when it is asked for."""

import argparse
from collections.abc import Callable

__all__ = ["words_of_user"]

_DATA = "./data"
_FORMATS = ("table", "csv", "json")


def words_of_user(user: argparse.ArgumentParser) -> None:
    """Declare the commands under `user`."""
    commands = user.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, help_text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=help_text, description=help_text, allow_abbrev=False)
        one.set_defaults(command=_acting(name))
        if name != "list":
            one.add_argument("name", metavar="NAME", help="the user")
        one.add_argument(
            "--data", metavar="DIR", default=_DATA, help="the data folder (default: %(default)s)"
        )
        return one

    add = command("add", "Make a user with an API key, or another key for one that is there.")
    add.add_argument(
        "--role",
        choices=("viewer", "editor", "administrator"),
        required=True,
        help="viewer: reads; editor: also hands in events and changes rules; administrator: all",
    )
    add.add_argument("--email", metavar="ADDRESS", help="where the user's mails go")
    for name in ("model", "job"):
        add.add_argument(
            f"--{name}",
            dest=f"{name}s",
            metavar="ID",
            action="append",
            help=f"the only {name} that the user may see; may be repeated (default: every {name})",
        )
    command("remove", "Take away a user that was made by `user add`.")
    every = command("list", "List the users; no keys are shown.")
    every.add_argument(
        "--format", choices=_FORMATS, default="table", help="form of the answer (default: table)"
    )


def _acting(name: str) -> Callable[[argparse.Namespace], int]:
    def act(told: argparse.Namespace) -> int:
        from flows.usercommands import COMMANDS  # noqa: PLC0415 - loads DuckDB and pyarrow

        return COMMANDS[name](told)

    return act
