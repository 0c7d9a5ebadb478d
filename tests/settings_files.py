"""Writes a configuration file and reads it, for the tests of its sections."""

import pytest

from engine.errors import ConfigurationError
from flows.settings import load


def settings_of(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_text(content)
    return load(str(path))


def faults(tmp_path, content):
    with pytest.raises(ConfigurationError) as caught:
        settings_of(tmp_path, content)
    return [line.split("config.yaml:", 1)[1] for line in str(caught.value).split("\n")]


def tried(tmp_path, content):
    try:
        return settings_of(tmp_path, content), ""
    except ConfigurationError as error:
        return None, str(error)
