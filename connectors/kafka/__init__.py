"""Topics of Kafka: read as partitions, and written to with what a run finds."""

__all__: list[str] = []
