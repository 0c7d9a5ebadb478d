"""The REST server: a room for each contract, and what they share."""

__all__: list[str] = []
