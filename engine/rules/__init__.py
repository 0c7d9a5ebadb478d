"""Alert rules: rolling windows over panes, evaluated in event time, with exactly what was known."""

__all__: list[str] = []
