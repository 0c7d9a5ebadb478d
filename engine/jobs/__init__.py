"""Jobs and their models: decisions, consensus, knowledge base, and the metrics of both."""

__all__: list[str] = []
