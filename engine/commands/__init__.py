"""What users change while a run goes on: one plain function for each kind of change."""

__all__: list[str] = []
