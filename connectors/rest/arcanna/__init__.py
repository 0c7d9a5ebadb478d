"""The Arcanna contract: metrics of a job and of its active model."""

from connectors.rest.arcanna.routes import ROOM

__all__ = ["ROOM"]
