"""The dataflows and the commands: they join what `connectors` carry and `engine` thinks."""

__all__: list[str] = []
