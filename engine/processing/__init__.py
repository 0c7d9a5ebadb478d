"""Processing metrics: counts and timings of runs and ingests by hour, and everything as plots."""

__all__: list[str] = []
