"""Filters in the metric language that stand by themselves, checked as those of queries are."""

import json
from collections.abc import Iterator, Sequence

import yaml

from engine.query import parse_faults
from engine.query.names import ModelNames
from engine.query.parse import filters_of
from engine.query.parse_names import REGULAR, Scope, columns_in
from engine.query.tree import Condition
from flows.queryfaults import say_fault
from flows.yamlnodes import Faults, Node
from flows.yamlreaders import Reader, json_value

__all__ = ["row_filter"]

_TIMES = tuple(name for name, kind in REGULAR.items() if kind == "time")

_RULE = "a list such as [{property: city, comparator: eq, value: Boston}]"


def row_filter(names: ModelNames) -> Reader:
    """Read a list of conditions that rows must meet, as canonical JSON text.

    Parameters
    ----------
    names : ModelNames
        What the conditions may name.
    """

    def read(faults: Faults, node: Node, key: str) -> str | None:
        if not isinstance(node, yaml.SequenceNode):
            faults.must(node, key, _RULE)
            return None
        before = faults.count()
        value = json_value(faults, node, key)
        if faults.count() == before:
            for fault in _faults_of(value, names, key.rpartition(".")[2]):
                say_fault(faults, node, key, fault)
        if faults.count() > before or not value:
            return None
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    return read


def _faults_of(value: object, names: ModelNames, root: str) -> list[str]:
    found = parse_faults.Faults()
    conditions = filters_of(Scope(names, found), value, root)
    return found.texts or list(_on_times(conditions))


def _on_times(conditions: Sequence[Condition]) -> Iterator[str]:
    """Refuse conditions on what puts a row into its bucket."""
    for condition in conditions:
        for column in columns_in([condition.operand]):
            if column.name in _TIMES:
                rule = "must not filter on time: every row is in the bucket of its time"
                yield f"`{condition.place}` {rule}"
