"""Models of what is no series of numbers: rare values, times, populations."""

__all__: list[str] = []
