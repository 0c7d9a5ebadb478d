"""The section `publish`: how often a copy of the store is made for others to read."""

from engine.publish_settings import AT_STOP, PublishSettings
from flows.yamlnodes import Faults, Node
from flows.yamlreaders import choice, duration_us, mapping

__all__ = ["publish"]

_LEAST_US = 10**6
_MOST_US = 366 * 86_400 * 10**6
_RULE = 'a duration from "1s" to "366d", such as "10m"'


def publish(faults: Faults, node: Node, key: str) -> PublishSettings:
    """Read the section; the default where a key is absent or off."""
    found = mapping(
        faults,
        node,
        key,
        {"every": duration_us(_LEAST_US, _MOST_US, _RULE), "at_stop": choice(*AT_STOP)},
    )
    named = {"every": "every_us", "at_stop": "at_stop"}
    return PublishSettings(
        **{named[name]: value for name, value in found.items() if value is not None}
    )
