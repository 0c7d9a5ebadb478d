"""The errors that Bellwether raises, split by whose fault they are.

::

    BellwetherError
    ├── ConfigurationError   the configuration or a command's words are off: exit code 2
    ├── SourceError          an input cannot be read: missing file, empty glob, torn archive
    ├── StoreError           the data folder cannot be used: locked, damaged, too new
    └── QueryError           somebody's SQL or request is off
        ├── NotFoundError    it names something that there is not, or that the asker may not see
        ├── ConflictError    it does not fit what is there: a name that is taken, a job that is shut
        ├── ForbiddenError   the asker may not do that
        ├── BusyError        there is too much to do just now: ask again a little later
        └── EndingError      the run is ending, or has failed: ask the next one

Bad data is none of these: it is a row in `rejects`. Anything else that is raised is our own fault.
"""

__all__ = [
    "BellwetherError",
    "BusyError",
    "ConfigurationError",
    "ConflictError",
    "EndingError",
    "ForbiddenError",
    "NotFoundError",
    "QueryError",
    "SourceError",
    "StoreError",
]


class BellwetherError(Exception):
    """The root: its text is one clear message for the person who runs the command."""


class ConfigurationError(BellwetherError):
    """The configuration, or what a command was given, breaks a stated rule."""


class SourceError(BellwetherError):
    """An input cannot be read."""


class StoreError(BellwetherError):
    """The data folder cannot be used."""


class QueryError(BellwetherError):
    """A query is malformed, forbidden or took too long."""


class NotFoundError(QueryError):
    """A request names a job, a model, a catalogue or another thing that there is not."""


class ConflictError(QueryError):
    """A request does not fit what is there."""


class ForbiddenError(QueryError):
    """A request is for somebody with more rights."""


class BusyError(QueryError):
    """A queue is full."""


class EndingError(QueryError):
    """Whoever was to answer is about to end."""
