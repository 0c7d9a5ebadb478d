"""Anomaly buckets: how unusual each span of a stream is, told as probabilities and scores."""

__all__: list[str] = []
