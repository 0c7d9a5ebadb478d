"""The columnar bank: every series of numbers of a job, judged and learned at once."""

__all__: list[str] = []
