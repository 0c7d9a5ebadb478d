"""The metric language: queries over predictions and their labels, checked and compiled to SQL."""

__all__: list[str] = []
