"""All rooms of the server: a contract each, and Bellwether's own, which is the last."""

from connectors.rest.app import Room
from connectors.rest.arcanna import ROOM as ARCANNA
from connectors.rest.arthur import ROOM as ARTHUR
from connectors.rest.dioptra import ROOM as DIOPTRA
from connectors.rest.elastic import ROOM as ELASTIC
from connectors.rest.own import ROOM as OWN
from connectors.rest.scale import ROOM as SCALE

__all__ = ["ROOMS"]

ROOMS: tuple[Room, ...] = (ARCANNA, ARTHUR, SCALE, DIOPTRA, ELASTIC, OWN)
"""In the order of their routes: the first that matches a path answers."""
