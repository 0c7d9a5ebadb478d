"""Answers about results, as the get-buckets contract gives them."""

__all__: list[str] = []
