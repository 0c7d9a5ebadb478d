"""The words of `bellwether export` and `bellwether repair`; what they do loads when asked for."""

import argparse

__all__ = ["words_of_export", "words_of_repair"]

_DATA = "./data"


def words_of_export(export: argparse.ArgumentParser) -> None:
    """Declare the words behind `export`."""
    export.set_defaults(command=_export)
    export.add_argument(
        "--parquet",
        metavar="FOLDER",
        required=True,
        help="write one Parquet file per relation here",
    )
    export.add_argument(
        "--relations", metavar="NAME,…", help="only these, by commas (default: all relations)"
    )
    export.add_argument(
        "--data", metavar="DIR", default=_DATA, help="the data folder (default: %(default)s)"
    )
    export.add_argument(
        "--published",
        action="store_true",
        help="of the published copy, which costs a running owner nothing",
    )
    export.add_argument(
        "--overwrite", action="store_true", help="replace an earlier export in that folder"
    )
    export.add_argument(
        "--limit-seconds",
        metavar="N",
        type=float,
        default=3600.0,
        help="stop when it takes longer (default and most: %(default)g)",
    )


def words_of_repair(repair: argparse.ArgumentParser) -> None:
    """Declare the words behind `repair`."""
    repair.set_defaults(command=_repair)
    repair.add_argument(
        "config",
        metavar="CONFIG",
        nargs="?",
        help="YAML file: where the data folder and sources are",
    )
    repair.add_argument(
        "--data", metavar="DIR", help=f"the data folder (default: that of CONFIG, or {_DATA})"
    )
    choice = repair.add_mutually_exclusive_group()
    choice.add_argument(
        "--salvage",
        action="store_true",
        help="keep the store, and of its damaged log what comes before the damage",
    )
    choice.add_argument(
        "--from-snapshot", action="store_true", help="put the published copy in its place"
    )
    choice.add_argument(
        "--rebuild", action="store_true", help="begin empty: the next run reads the sources anew"
    )


def _export(told: argparse.Namespace) -> int:
    from flows.exporting import export  # noqa: PLC0415 - loads pyarrow

    return export(told)


def _repair(told: argparse.Namespace) -> int:
    from flows.repairing import repair  # noqa: PLC0415 - loads DuckDB

    return repair(told)
