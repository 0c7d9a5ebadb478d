"""What is kept of jobs beside their results: definitions, counters, states, snapshots."""

__all__: list[str] = []
