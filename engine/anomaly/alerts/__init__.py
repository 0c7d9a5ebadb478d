"""Alert rules on the scores of jobs."""

__all__: list[str] = []
