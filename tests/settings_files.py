"""Writes a configuration file and reads it, for the tests of its sections."""

import json
import re

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


def job(**told):
    """Write a file of one anomaly job: a good one, but for what is told."""
    fields = {"job_id": "j", "model": "m", "detectors": "[{function: count}]"} | told
    written = ", ".join(f"{key}: {value}" for key, value in fields.items() if value is not None)
    return f"anomaly_jobs: [{{{written}}}]\n"


def yaml_of(value):
    """Write JSON that is YAML, too: this has no pairs of surrogates, and fewer bare characters."""
    written = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[\x7f-\uffff]", lambda found: f"\\u{ord(found[0]):04x}", written)
