"""Step metrics: values of named metrics by step of a job, their history, and rules on them."""

__all__: list[str] = []
