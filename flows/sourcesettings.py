"""The `sources` section of the configuration, and what a command puts in its place."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace

import yaml

from engine.config import SourceSettings
from engine.errors import ConfigurationError
from engine.kafka_settings import KafkaConnection, KafkaSettings
from engine.mapping import path_steps
from flows.kafkasettings import is_brokers, is_topic, kafka_source
from flows.yamlnodes import Faults, Node, scalar
from flows.yamlreaders import Reader, entries, flag, listed, mapping, required, text, value_at

__all__ = ["file_patterns", "followed", "source_told", "sources"]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://")


def _source(faults: Faults, node: Node, key: str) -> SourceSettings | None:
    fields: dict[str, Reader] = {
        "name": text,
        "stdin": flag,
        "files": file_patterns,
        "follow": flag,
        "kafka": kafka_source,
        "mapping": _mapping,
    }
    found = mapping(faults, node, key, fields)
    named = required(faults, node, key, "name", found)
    if not isinstance(node, yaml.MappingNode):
        return None
    keys = {name for name, _, _ in entries(Faults(""), node, "")}
    if len(keys & {"stdin", "files", "kafka"}) != 1:
        told = " and ".join(sorted(keys & {"stdin", "files", "kafka"})) or "none"
        faults.say(node, f"{key} must have one of `stdin: true`, `files` and `kafka`, got {told}")
    elif found.get("stdin") is False:
        faults.must(
            value_at(node, "stdin"), f"{key}.stdin", "true, or left out in favour of `files`"
        )
    elif found.get("follow") and keys & {"stdin", "kafka"}:
        what = "stdin" if "stdin" in keys else "kafka"
        faults.must(
            value_at(node, "follow"),
            f"{key}.follow",
            f"left out with `{what}`, which is followed anyway",
        )
    return SourceSettings(**found) if named else None


def sources(faults: Faults, node: Node, key: str) -> tuple[SourceSettings, ...] | None:
    """Read the section; at most one source is standard input."""
    found: tuple[SourceSettings, ...] | None = listed(
        _source, lambda source: str(source.name), "name"
    )(faults, node, key)
    if isinstance(node, yaml.SequenceNode) and not node.value:
        faults.say(node, f"{key} must name one source or more, or be left out for standard input")
    if found and sum(source.stdin for source in found) > 1:
        faults.say(node, f"{key} must have at most one with `stdin: true`")
    return found


def file_patterns(faults: Faults, node: Node, key: str) -> tuple[str, ...] | None:
    """Read one path or pattern, or a list of them."""
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    rule = "a path or pattern, or a list of these"
    if not nodes:
        faults.must(node, key, rule)
    found = []
    for one in nodes:
        value = scalar(one) if isinstance(one, yaml.ScalarNode) else None
        scheme = _SCHEME.match(value) if isinstance(value, str) else None
        if scheme:
            faults.say(one, f"{key}: `{scheme[0]}` is not supported by this version")
        elif not isinstance(value, str) or not value or "\0" in value:
            faults.must(one, key, rule)
        else:
            found.append(value)
    return tuple(found) or None


def _mapping(faults: Faults, node: Node, key: str) -> tuple[tuple[str, str], ...] | None:
    found = []
    for name, where, value in entries(faults, node, key):
        told = scalar(value) if isinstance(value, yaml.ScalarNode) else None
        if not name or name.startswith(".") or name.endswith("."):
            faults.say(value, f'{key} must map names of fields, got "{name}"')
        elif told is None:
            faults.must(value, where, 'a JSON path such as $.a."b c"[0], or a constant')
        elif isinstance(told, str) and told.startswith("$") and not _is_path(told):
            faults.must(value, where, 'a JSON path such as $.a."b c"[0], as it begins with $')
        else:
            found.append((name, str(told).lower() if isinstance(told, bool) else str(value.value)))
    return tuple(found)


def _is_path(value: str) -> bool:
    try:
        return bool(path_steps(value))
    except ValueError:
        return False


def source_told(source: str, declared: Iterable[SourceSettings]) -> SourceSettings:
    """Give the source that a command names, under the mapping of those declared.

    Raises
    ------
    ConfigurationError
        It cannot be a source, or it is open which of several mappings it has.
    """
    scheme = _SCHEME.match(source)
    if scheme and scheme[1] != "kafka":
        msg = (
            f"`--source`: `{scheme[0]}` is not supported, name files, kafka://host:port/topic or -"
        )
        raise ConfigurationError(msg)
    if not source:
        msg = '`--source` must be a file, a pattern, kafka://host:port/topic or -, got ""'
        raise ConfigurationError(msg)
    mappings = {one.mapping for one in declared}
    if len(mappings) > 1:
        msg = "`--source` must be left out where the declared sources have different mappings"
        raise ConfigurationError(msg)
    name_mapping = mappings.pop() if mappings else ()
    if source == "-":
        return SourceSettings("stdin", stdin=True, mapping=name_mapping)
    if scheme:
        return SourceSettings("kafka", kafka=_topic_told(source), mapping=name_mapping)
    return SourceSettings("files", files=(source,), mapping=name_mapping)


def _topic_told(source: str) -> KafkaSettings:
    brokers, _, topic = source.removeprefix("kafka://").partition("/")
    if not brokers or not is_brokers(brokers) or not is_topic(topic):
        msg = f"`--source` must be kafka://host:port/topic, got {json.dumps(source)}"
        raise ConfigurationError(msg)
    return KafkaSettings(KafkaConnection(brokers), topic)


def followed(sources: tuple[SourceSettings, ...]) -> tuple[SourceSettings, ...]:
    """Give the sources with all files followed.

    Raises
    ------
    ConfigurationError
        There are no files among them.
    """
    if not any(source.files for source in sources):
        what = "a topic" if any(source.kafka for source in sources) else "standard input"
        msg = f"`--follow` must go with files, got {what}, which is followed anyway"
        raise ConfigurationError(msg)
    return tuple(replace(source, follow=bool(source.files)) for source in sources)
