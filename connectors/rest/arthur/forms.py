"""Files that come in a multipart form."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from connectors.rest.arthur.tables import rows_of_file
from connectors.rest.faults import Fault

__all__ = ["FILE", "File", "file_of"]

FILE = {"type": "string", "format": "binary"}
"""Schema of a file in a form."""

_PARTS_MAX = 8


@dataclass(frozen=True, slots=True)
class File:
    """A file of a form.

    Attributes
    ----------
    part : str
        The name of its part, without `.parquet`.
    name : str
        Its own.
    texts : mapping of str to str
        Of the other parts.
    """

    part: str
    data: bytes
    name: str
    texts: Mapping[str, str]

    def rows(self) -> Iterator[Any]:
        """Give its rows; see `rows_of_file`."""
        return rows_of_file(self.data, self.name)


async def file_of(request: Request, names: tuple[str, ...], also: tuple[str, ...] = ()) -> File:
    """Give the one file of a form whose part has one of some names.

    Such a name may end in `.parquet`, as older clients have it.

    Parameters
    ----------
    also : tuple of str
        Names of parts that are texts, and may be left out.

    Raises
    ------
    Fault
        400: there is none, or there are several, or another part.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise _none(names)
    async with request.form(max_files=_PARTS_MAX, max_fields=_PARTS_MAX) as form:
        parts = [(name, await _read(part)) for name, part in form.multi_items()]
    texts = {name: data.decode(errors="replace") for name, (data, _) in parts if name in also}
    files = [each for each in parts if each[0] not in also]
    if len(files) != 1 or files[0][0].removesuffix(".parquet") not in names:
        raise _none(names)
    ((name, (data, called)),) = files
    return File(name.removesuffix(".parquet"), data, called, texts)


def _none(names: tuple[str, ...]) -> Fault:
    return Fault(400, f"the body must be a multipart form with one file: {' or '.join(names)}")


async def _read(part: UploadFile | str) -> tuple[bytes, str]:
    if isinstance(part, str):
        return part.encode(errors="surrogatepass"), ""
    return await part.read(), part.filename or ""
