"""From the values of a bucket to its records, influencers and scores."""

__all__: list[str] = []
