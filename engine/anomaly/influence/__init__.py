"""Which entities have to do with what is unusual."""

__all__: list[str] = []
