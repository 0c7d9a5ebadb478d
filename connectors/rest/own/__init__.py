"""Bellwether's own endpoints: events in, SQL, what is in force, how the run is, and the docs."""

from connectors.rest.own.room import ROOM

__all__ = ["ROOM"]
