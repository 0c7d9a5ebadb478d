"""From probabilities to scores: raw scores, ceilings, and many probabilities as one."""

__all__: list[str] = []
