"""Inferences with named attributes, as Arthur's clients send them, and the events they become."""

__all__: list[str] = []
