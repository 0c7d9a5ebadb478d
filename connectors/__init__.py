"""The outside: sources, the store, the query socket; no arithmetic here."""

__all__: list[str] = []
