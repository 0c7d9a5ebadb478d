"""The faults of a query that stands in the configuration, told where the file has them."""

import re

import yaml

from flows.yamlnodes import Faults, Node

__all__ = ["say_fault"]

_PLACE = re.compile(r"`?\w+((?:\.[A-Za-z_]\w*|\[\d+\])*)")
_STEP = re.compile(r"(\w+)|\[(\d+)\]")


def say_fault(faults: Faults, node: Node, key: str, fault: str) -> None:
    """Tell a fault of the metric language at the line of the part that it names.

    Parameters
    ----------
    node : Node
        The query, or the filter.
    key : str
        Its dotted place; its last name is what the fault calls it.
    fault : str
        Such as ``"`query.filter[0].value` must be …"``.
    """
    root = key.rpartition(".")[2]
    place = _PLACE.match(fault)
    if place is None or fault[: place.start(1)].lstrip("`") != root:
        faults.say(node, f"{key}: {fault}")
        return
    mark, rest = fault[: place.start(1) - len(root)], fault[place.start(1) :]
    faults.say(_node_at(node, place[1]), f"{mark}{key}{rest}")


def _node_at(node: Node, place: str) -> Node:
    """Go along a place as far as there are nodes."""
    for name, number in _STEP.findall(place):
        if number and isinstance(node, yaml.SequenceNode) and int(number) < len(node.value):
            node = node.value[int(number)]
        elif name and isinstance(node, yaml.MappingNode):
            values = [value for key, value in node.value if key.value == name]
            if not values:
                return node
            node = values[0]
        else:
            return node
    return node
