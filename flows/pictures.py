"""Pictures as files: which form a name asks for, what draws them, and writing them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from engine.errors import ConfigurationError

__all__ = ["Drawn", "form_of", "needs_matplotlib", "write_picture"]

_FORMS = ("png", "svg")


class Drawn(Protocol):
    """A picture that was drawn."""

    @property
    def content(self) -> bytes:
        """The bytes of the file."""

    @property
    def lacks_letters(self) -> bool:
        """Whether some letters are not in the fonts here."""


def form_of(path: str) -> str:
    """Give the form that the ending of ``--output`` asks for.

    Raises
    ------
    ConfigurationError
        It is none that can be drawn.
    """
    form = Path(path).suffix.removeprefix(".").lower()
    if form not in _FORMS:
        msg = f"`--output` must be a name that ends in .png or .svg, got {path}"
        raise ConfigurationError(msg)
    return form


@contextmanager
def needs_matplotlib(command: str) -> Iterator[None]:
    """Tell what to install where the import of what draws finds no matplotlib."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "matplotlib":
            raise
        msg = (
            f"`{command}` must have the package matplotlib, which is not installed; install it"
            " with: pip install 'matplotlib>=3.9,<4'"
        )
        raise ConfigurationError(msg) from error


def write_picture(path: str, drawing: Drawn) -> None:
    """Write a picture, and say so on standard error.

    Raises
    ------
    ConfigurationError
        The file cannot be written.
    """
    try:
        Path(path).write_bytes(drawing.content)
    except OSError as error:
        msg = f"`--output` must be a file that can be written, got {path}: {error.strerror}"
        raise ConfigurationError(msg) from error
    if drawing.lacks_letters and form_of(path) == "png":
        _say("note: no font here has some of the letters: boxes stand for them; an SVG keeps them")
    _say(f"{path} written")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
