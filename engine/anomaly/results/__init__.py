"""Results of jobs as rows of the store, restated and scored anew."""

__all__: list[str] = []
