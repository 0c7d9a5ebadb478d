"""Names with `*` for any characters in them, and which jobs an expression of such names means."""

from collections.abc import Iterable, Mapping

from engine.errors import NotFoundError

__all__ = ["ALL", "jobs_meant", "matches"]

ALL = ("_all", "*")
_SHOWN = 256


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name is what a pattern says; in time that grows with both, not their product.

    >>> matches("low_*_rate", "low_request_rate"), matches("a*a", "a")
    (True, False)
    """
    first, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    *middle, last = rest
    if not name.startswith(first) or not name.endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        found = name.find(part, at, max(end, 0))
        if found < 0:
            return False
        at = found + len(part)
    return at <= end


def jobs_meant(
    expression: str, known: Mapping[str, Iterable[str]], *, allow_no_match: bool
) -> list[str]:
    """Give the jobs that an expression means, in order of their ids.

    Parameters
    ----------
    expression : str
        Ids, groups and patterns of either, with commas between them; `_all` and `*` are all jobs.
    known : mapping of str to iterable of str
        The groups of each job that the asker may see.
    allow_no_match : bool
        Whether patterns may mean nothing; a name always must mean something.

    Raises
    ------
    NotFoundError
        A name or pattern means nothing that there is.
    """
    found: set[str] = set()
    for word in expression.split(",") if expression else ALL[:1]:
        pattern = "*" if word in ALL else word
        hits = {
            job_id
            for job_id, groups in known.items()
            if matches(pattern, job_id) or any(matches(pattern, group) for group in groups)
        }
        if not hits and not ("*" in pattern and allow_no_match):
            told = word if len(word) <= _SHOWN else word[: _SHOWN - 1] + "…"
            msg = f"No known job with id '{told}'"
            raise NotFoundError(msg)
        found |= hits
    return sorted(found)
