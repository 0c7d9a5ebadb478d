"""Faults of a query, gathered with their places, and the shapes that its values have."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from engine.errors import QueryError

__all__ = ["Faults", "told"]

_MAX_FAULTS = 100
_MAX_HINTS = 20
_SHOWN = 80


def told(value: object) -> str:
    """Return a value as JSON text, cut for a message."""
    if isinstance(value, str):
        value = value[: 2 * _SHOWN]
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (RecursionError, TypeError, ValueError):  # too deep, no JSON, or too many digits
        text = {dict: "an object", list: "a list", int: "a number"}.get(type(value), "no JSON")
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


class Faults:
    """Gathers what is wrong with a query, in the order of reading."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def say(self, text: str) -> None:
        """Add a fault."""
        self.texts.append(text)

    def must(self, place: str, rule: str, value: object, hint: str = "") -> None:
        """Add the fault that the value at `place` breaks a rule."""
        self.say(f"`{place}` must be {rule}, got {told(value)}{hint}")

    def near(self, name: str, known: Iterable[str]) -> str:
        """Return a hint at the known name that was perhaps meant, or nothing."""
        if len(self.texts) >= _MAX_HINTS or len(name) > 100:
            return ""
        import difflib  # noqa: PLC0415 - slow to load, and only a mistake needs it

        names = [each for each in known if len(each) <= 100]
        for each in names:
            if each.casefold() == name.casefold():
                return f'; did you mean "{each}"? names are case-sensitive'
        found = difflib.get_close_matches(name, names, 1)
        return f'; did you mean "{found[0]}"?' if found else ""

    def raise_any(self) -> None:
        """Raise all faults as one error, a line each.

        Raises
        ------
        QueryError
            If there is a fault.
        """
        if not self.texts:
            return
        shown = self.texts[:_MAX_FAULTS]
        if len(self.texts) > _MAX_FAULTS:
            shown.append(f"and {len(self.texts) - _MAX_FAULTS} more")
        raise QueryError("\n".join(shown))

    def entries(
        self, value: object, place: str, keys: Sequence[str], required: Collection[str] = ()
    ) -> Mapping[str, object]:
        """Return the known entries of an object; null is as if absent.

        What is no object, an unknown key or a missing one is a fault.
        """
        if not isinstance(value, dict):
            self.must(place, "an object", value)
            return {}
        known: dict[str, object] = {}
        for key, each in value.items():
            if not isinstance(key, str) or key not in keys:
                self._unknown(place, key, keys)
            elif each is not None:
                known[key] = each
        for key in required:
            if key not in known:
                self.say(f"`{place}.{key}` is missing")
        return known

    def _unknown(self, place: str, key: object, keys: Sequence[str]) -> None:
        hint = self.near(key, keys) if isinstance(key, str) else ""
        allowed = f"the keys are {', '.join(keys)}" if keys else "there are none"
        self.say(f"`{place}` must not have the key {told(key)}{hint or f'; {allowed}'}")

    def items(
        self, value: object, place: str, limit: int, what: str, *, empty: bool = True
    ) -> list[object]:
        """Return the items of a list of at most `limit`; anything else is a fault."""
        if not isinstance(value, list):
            self.must(place, f"a list of {what}", value)
            return []
        if len(value) > limit or (not value and not empty):
            rule = f"a list of {'at most' if empty else '1 to'} {limit} {what}"
            self.say(f"`{place}` must be {rule}, got {len(value)}")
            return []
        return value

    def choice(self, value: object, place: str, choices: Sequence[str]) -> str | None:
        """Return one of some words, None with a fault if it is none of them."""
        if isinstance(value, str) and value in choices:
            return value
        hint = self.near(value, choices) if isinstance(value, str) else ""
        self.must(place, f"one of {', '.join(choices)}", value, hint)
        return None
