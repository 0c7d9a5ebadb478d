"""What is in force or was given, as pages: models, metrics, rules, alerts and configurations."""

__all__: list[str] = []
