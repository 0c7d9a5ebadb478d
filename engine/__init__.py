"""The thinking: columns in, rows out; no file, socket, clock or dataflow is known here."""

__all__: list[str] = []
