"""Values of JSON as the nodes that the readers of the configuration take, without any text between.

What `scalar` gives of a node is what the same value gives in a file: text stays text, whatever it
looks like, and a number is a number. Faults of such an entry have no file and no line.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import yaml

from engine.errors import QueryError
from flows.yamlnodes import DEPTH_MAX, Node

__all__ = ["listed_node", "node_of"]

_MARK: Any = yaml.Mark("", 0, 0, 0, None, 0)
_TAG = ""  # no reader looks at tags
_NUMBER_BITS_MAX = 4_096


def listed_node(value: object) -> Node:
    """Give a list with one value as a node, as a section of the file with one entry is."""
    return yaml.SequenceNode(_TAG, [node_of(value)], _MARK, _MARK)


def node_of(value: object, depth: int = 0) -> Node:
    """Give a value as a node.

    Raises
    ------
    QueryError
        It has more than `DEPTH_MAX` levels, a number that is not finite, text with half a pair of
        surrogates, or is no value of JSON.

    >>> from flows.yamlnodes import scalar
    >>> [scalar(node_of(each)) for each in ("true", True, None, 7, 0.5)]
    ['true', True, None, Decimal('7'), Decimal('0.5')]
    """
    if depth > DEPTH_MAX:
        msg = f"the definition must have at most {DEPTH_MAX} levels, got more"
        raise QueryError(msg)
    if isinstance(value, Mapping):
        pairs = [(_key(name), node_of(each, depth + 1)) for name, each in value.items()]
        return yaml.MappingNode(_TAG, pairs, _MARK, _MARK)
    if isinstance(value, list | tuple):
        nodes = [node_of(each, depth + 1) for each in value]
        return yaml.SequenceNode(_TAG, nodes, _MARK, _MARK)
    if isinstance(value, str):
        return yaml.ScalarNode(_TAG, _checked(value), _MARK, _MARK, style='"')
    return yaml.ScalarNode(_TAG, _plain(value), _MARK, _MARK)


def _key(name: object) -> Node:
    if not isinstance(name, str):
        msg = f"the definition must have keys of text, got {type(name).__name__}"
        raise QueryError(msg)
    return yaml.ScalarNode(_TAG, _checked(name), _MARK, _MARK, style='"')


def _checked(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        msg = "the definition must have text of whole characters, got half a pair of surrogates"
        raise QueryError(msg) from error
    return text


def _plain(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() <= _NUMBER_BITS_MAX:
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, Decimal) and value.is_finite():
        return str(value)
    what = "a larger one" if isinstance(value, int) else f"{value!s:.40}"
    msg = f"the definition must have values of JSON with finite numbers, got {what}"
    raise QueryError(msg)
