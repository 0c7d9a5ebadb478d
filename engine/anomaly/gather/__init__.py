"""From weighted rows to the values of a bucket, also without the rows of one entity."""

__all__: list[str] = []
