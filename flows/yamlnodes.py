"""A YAML file as nodes that know their lines, and the faults found in them.

Plain words mean what YAML 1.2 says: `no`, `on`, `12:30` and `010` are not truth, time or octal.
Left out on purpose, and refused: aliases and anchors (ten lines of them can unfold to gigabytes),
tags, several documents, more than `BYTES_MAX`, more than `DEPTH_MAX` levels.
"""

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from engine.errors import ConfigurationError

__all__ = ["BYTES_MAX", "DEPTH_MAX", "Faults", "Node", "compose", "quoted", "scalar", "shown"]

DEPTH_MAX = 40  # a function in a function in a query adds three levels
BYTES_MAX = 8 << 20  # 10,000 rules with names take about one and a half MiB

_FAULTS_MAX = 100
_QUOTES = ("'", '"', "|", ">")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")

Node = yaml.Node


@dataclass(slots=True)
class Faults:
    """All that is wrong in one file; `raise_any` tells it at once, line by line."""

    file: str
    _found: list[tuple[int, str]] = field(default_factory=list)

    def must(self, node: Node, key: str, rule: str) -> None:
        """Tell that the value at `key` breaks `rule`."""
        self.say(node, f"{key} must be {rule}, got {shown(node)}")

    def say(self, node: Node, text: str) -> None:
        """Tell a fault in words of its own."""
        self.at(node.start_mark.line + 1, text)

    def at(self, line: int, text: str) -> None:
        """Tell a fault in a line, counted from 1; it stays one line, whatever names are in it."""
        self._found.append((line, _CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], text)))

    def count(self) -> int:
        """Give how many have been told."""
        return len(self._found)

    def texts(self) -> list[str]:
        """Give all of them without their lines."""
        return [text for _, text in self._found]

    def raise_any(self) -> None:
        """Raise ConfigurationError with one line a fault, when there is one."""
        if not self._found:
            return
        found = sorted(self._found, key=lambda fault: fault[0])
        lines = [f"{self.file}:{line}: {text}" for line, text in found[:_FAULTS_MAX]]
        if len(found) > _FAULTS_MAX:
            lines.append(f"{self.file}: and {len(found) - _FAULTS_MAX} more")
        raise ConfigurationError("\n".join(lines))


def compose(path: str) -> tuple[Faults, Node]:
    """Read a file into its root node, a mapping.

    Raises
    ------
    ConfigurationError
        It cannot be read, or is no YAML of the kind described above.
    """
    faults = Faults(path)
    content = _content(path, faults)
    try:
        _check_events(content, faults)
        faults.raise_any()
        root = yaml.compose(content, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = (
            "must be indented with spaces, got a tab" if _is_tab(content, mark) else _words(error)
        )
        faults.at(mark.line + 1 if mark else 1, words)
    except yaml.reader.ReaderError as error:
        line = content.count("\n", 0, error.position) + 1
        faults.at(line, f"must be printable text, got the character {_code(error.character)}")
    else:
        if isinstance(root, yaml.MappingNode):
            return faults, root
        faults.at(
            1, f"must be a mapping of keys to values, got {shown(root) if root else 'nothing'}"
        )
    faults.raise_any()
    raise AssertionError(path)  # a fault has been told above


def _content(path: str, faults: Faults) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as error:
        msg = f"the configuration must be a readable file, got {path}: {error.strerror}"
        raise ConfigurationError(msg) from error
    if len(content) > BYTES_MAX:
        faults.at(1, f"must be at most {BYTES_MAX} bytes, got more")
        faults.raise_any()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        faults.at(line, f"must be UTF-8, got the byte 0x{content[error.start]:02x}")
        faults.raise_any()
        raise


def _check_events(content: str, faults: Faults) -> None:
    depth = documents = 0
    for event in yaml.parse(content, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        documents += isinstance(event, yaml.DocumentStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if documents > 1:
            faults.at(line, "must be one document, got a second one")
        elif depth > DEPTH_MAX:
            faults.at(line, f"must have at most {DEPTH_MAX} levels, got more")
        else:
            _check_plain(event, line, faults)
            continue
        return


def _check_plain(event: Any, line: int, faults: Faults) -> None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        faults.at(line, f"must repeat its values, got the alias or anchor `{event.anchor}`")
    elif getattr(event, "tag", None) not in {None, "!"}:
        faults.at(line, f"must have plain values, got the tag `{event.tag}`")


def _is_tab(content: str, mark: Any) -> bool:
    if mark is None:
        return False
    lines = content.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    return (
        "\t" in line[: len(line) - len(line.lstrip())]
        or line[mark.column : mark.column + 1] == "\t"
    )


def _words(error: yaml.MarkedYAMLError) -> str:
    parts = (error.context, error.problem)
    return "must be YAML: " + ", ".join(part for part in parts if part)


def _code(character: Any) -> str:
    return f"U+{character:04X}" if isinstance(character, int) else f"U+{ord(character[0]):04X}"


def shown(node: Node) -> str:
    """Give a value as a fault quotes it, cut at 80 characters."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return f"a list of {len(node.value)}"
    value = scalar(node)
    return _cut(str(node.value)) if isinstance(value, Decimal) else _json(value)


def quoted(name: str) -> str:
    """Give text as a fault quotes it: in one line, cut at 80 characters."""
    return _json(name)


def _json(value: object) -> str:
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(words: str) -> str:
    return words if len(words) <= 80 else words[:79] + "…"


def scalar(node: Node) -> str | bool | Decimal | None:
    """Give the value of a scalar node; a number as it is written."""
    value = str(node.value)
    if getattr(node, "style", None) in _QUOTES:
        return value
    if value in {"", "~", "null", "Null", "NULL"}:
        return None
    if value in {"true", "True", "TRUE", "false", "False", "FALSE"}:
        return value.lower() == "true"
    return Decimal(value) if _NUMBER.fullmatch(value) else value
