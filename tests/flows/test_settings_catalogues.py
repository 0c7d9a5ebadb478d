"""The `catalogues` section: read whole, and every fault told with its place."""

# ruff: noqa: E501 - a case is one line: what the file says, and the fault

import pytest
from settings_files import faults, settings_of

from engine.catalogue_settings import (
    CatalogueColumn,
    CatalogueGroup,
    Catalogues,
    CatalogueSettings,
    ChoiceSettings,
)

GOOD = """\
catalogues:
  - name: job-types
    choices:
      - {name: parse, version: 1.0, title: Parse, icon_code: f013, is_active: false}
      - {name: parse, version: 2, category: system, description: Second}
  - {name: errors, choices: [{name: system, title: System}]}
  - name: nodes
    title: Nodes
    description: What nodes do.
    type: run
    choice: [node, "it's"]
    filters: [node]
    groups: [{name: memory, title: Memory, description: What they need.}]
    columns:
      - {name: runs, units: count, aggregate: count}
      - {name: good, units: count, aggregate: count, field: memory, where: {status: [completed, 1.0], gpu: true}}
      - {name: memory_max, title: Memory (Max), description: Most., units: MB, aggregate: max, field: memory, group: memory}
  - name: steps
    type: metric
    choice: [name]
    columns: [{name: mean, units: value, aggregate: avg, field: value}]
"""


def test_golden_all_keys_are_read(tmp_path):
    assert settings_of(tmp_path, GOOD).catalogues == Catalogues(
        declared=(
            CatalogueSettings(
                "nodes",
                "run",
                ("node", "it's"),
                (
                    CatalogueColumn("runs", "count", "count"),
                    CatalogueColumn(
                        "good",
                        "count",
                        "count",
                        field="memory",
                        where=(("status", ("completed", "1")), ("gpu", ("true",))),
                    ),
                    CatalogueColumn(
                        "memory_max", "MB", "max", "Memory (Max)", "Most.", "memory", "memory"
                    ),
                ),
                "Nodes",
                "What nodes do.",
                ("node",),
                (CatalogueGroup("memory", "Memory", "What they need."),),
            ),
            CatalogueSettings(
                "steps",
                "metric",
                ("name",),
                (CatalogueColumn("mean", "value", "avg", field="value"),),
                filters=("name",),
            ),
        ),
        choices=(
            ChoiceSettings(
                "job-types",
                "parse",
                "1.0",
                (("title", "Parse"), ("icon_code", "f013"), ("is_active", False)),
            ),
            ChoiceSettings(
                "job-types", "parse", "2", (("description", "Second"), ("category", "system"))
            ),
            ChoiceSettings("errors", "system", None, (("title", "System"),)),
        ),
    )


def test_golden_nothing_is_declared_without_the_section(tmp_path):
    assert settings_of(tmp_path, "data: x").catalogues == Catalogues()


def own(**told):
    """Write a catalogue of one's own: a good one, but for what is told."""
    usual = {
        "name": "c",
        "type": "run",
        "choice": "[node]",
        "columns": "[{name: n, units: u, aggregate: count}]",
    }
    fields = {key: value for key, value in (usual | told).items() if value is not None}
    return f"catalogues: [{{{', '.join(f'{key}: {value}' for key, value in fields.items())}}}]"


def column(**told):
    usual = {"name": "n", "units": "u", "aggregate": "count"}
    fields = {key: value for key, value in (usual | told).items() if value is not None}
    return own(columns=f"[{{{', '.join(f'{key}: {value}' for key, value in fields.items())}}}]")


def choice(catalogue, told):
    return f"catalogues: [{{name: {catalogue}, choices: [{told}]}}]"


IDENTIFIER = "1 to 256 of a to z, 0 to 9, _ and -, with a letter or digit at both ends"
TEXT = "text of 1 to 256 characters"
AT = "1: catalogues[0]"
COLUMN = f"{AT}.columns[0]"
STEPS = "one of step, value, job_id, experiment_id, name for the type metric"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("catalogues: {}", "1: catalogues must be a list, got a mapping"),
        ("catalogues: [x]", f'{AT} must be a mapping of keys to values, got "x"'),
        # a catalogue of one's own
        (own(name=None), f"{AT}.name must be given, got nothing"),
        (own(name="C"), f'{AT}.name must be {IDENTIFIER}, got "C"'),
        (own(name="drift"), f'{AT}.name must be a name of its own: confusion, metric-values, drift, alerts, anomaly-scores, step-metrics are there already, got "drift"'),
        (own(type=None), f"{AT}.type must be given, got nothing"),
        (own(type="label"), f'{AT}.type must be one of run, ingest, metric, prediction, got "label"'),
        (own(title='"a\\nb"'), f'{AT}.title must be text without control characters, got "a\\nb"'),
        (own(description="[]"), f"{AT}.description must be text of 1 to 4,096 characters, got a list of 0"),
        (own(choice=None), f"{AT}.choice must be given, got nothing"),
        (own(choice="node"), f'{AT}.choice must be a list of 1 to 10 fields, got "node"'),
        (own(choice="[]"), f"{AT}.choice must be a list of 1 to 10 fields, got a list of 0"),
        (own(choice="[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]"), f"{AT}.choice must be a list of 1 to 10 fields, got a list of 11"),
        (own(choice="[a, a]"), f'{AT}.choice[1] must be there once, got "a" again'),
        (own(choice="[id]"), f'{AT}.choice[0] must be a field that several events share, got "id"'),
        (own(choice="[true]"), f"{AT}.choice[0] must be {TEXT}, got true"),
        (own(type="metric", choice="[city]"), f'{AT}.choice[0] must be {STEPS}, got "city"'),
        (own(type="prediction", choice="[features.city]"), f'{AT}.choice[0] must be the bare name of a property, such as city, got "features.city"'),
        (own(filters="[noda]"), f'{AT}.filters[0] must be one of `choice`, node, got "noda"; did you mean "node"?'),
        (own(filters="node"), f'{AT}.filters must be a list of fields, got "node"'),
        (own(groups="[]"), f"{AT}.groups must be a list of 1 to 200 groups, got a list of 0"),
        (own(groups="[{title: T}]"), f"{AT}.groups[0].name must be given, got nothing"),
        (own(groups="[{name: g}, {name: g}]"), f'{AT}.groups[1].name must be there once, got "g" again'),
        (own(columns=None), f"{AT}.columns must be given, got nothing"),
        (own(columns="[]"), f"{AT}.columns must be a list of 1 to 200 columns, got a list of 0"),
        (own(colums="[]"), '1: `catalogues[0].colums` is not a known key; did you mean "columns"?'),
        (own(choices="[]"), '1: `catalogues[0].choices` is not a known key; did you mean "choice"?'),
        # a column
        (column(name=None), f"{COLUMN}.name must be given, got nothing"),
        (column(name="a b"), f'{COLUMN}.name must be {IDENTIFIER}, got "a b"'),
        (column(units=None), f"{COLUMN}.units must be given, got nothing"),
        (column(aggregate=None), f"{COLUMN}.aggregate must be given, got nothing"),
        (column(aggregate="median", field="x"), f'{COLUMN}.aggregate must be one of sum, avg, min, max, count, got "median"'),
        (column(aggregate="avg"), f"{COLUMN}.field must be given for avg, got nothing"),
        (column(aggregate="sum", field="[]"), f"{COLUMN}.field must be {TEXT}, got a list of 0"),
        (column(group="g"), f'{COLUMN}.group must be one of `groups`, got "g"'),
        (column(where="[status]"), f"{COLUMN}.where must be a mapping of keys to values, got a list of 1"),
        (column(where="{status: []}"), f"{COLUMN}.where.status must be a list of 1 to 1,000 values, got a list of 0"),
        (column(where="{status: null}"), f"{COLUMN}.where.status must be a class: text, a number or a boolean, got null"),
        (column(where="{status: [a, a]}"), f'{COLUMN}.where.status[1] must be there once, got "a" again'),
        (column(where="{status: a, status: b}"), f"1: `{COLUMN[3:]}.where.status` must be there once: it is in line 1 already"),
        (
            own(columns="[{name: n, units: u, aggregate: count}, {name: n, units: u, aggregate: count}]"),
            f'{AT}.columns[1].name must be there once, got "n" again',
        ),
        (
            own(type="metric", choice="[name]", columns="[{name: n, units: u, aggregate: sum, field: x}]"),
            f'{COLUMN}.field must be {STEPS}, got "x"',
        ),
        (
            own(type="metric", choice="[name]", columns="[{name: n, units: u, aggregate: count, where: {x: 1}}]"),
            f'{COLUMN}.where.x must be {STEPS}, got "x"',
        ),
        # choices of those that are built in
        ("catalogues: [{name: errors}]", f"{AT}.choices must be given, got nothing"),
        (choice("errors", "{title: T}"), f"{AT}.choices[0].name must be given, got nothing"),
        (choice("errors", "{name: a, version: 1}"), "1: `catalogues[0].choices[0].version` is not a known key: the keys are name, title, description, category"),
        (choice("job-types", "{name: a, is_active: 1}"), f"{AT}.choices[0].is_active must be true or false, got 1"),
        (choice("job-types", "{name: a, icon_code: []}"), f"{AT}.choices[0].icon_code must be text of 1 to 4,096 characters, got a list of 0"),
        (choice("job-types", "{name: a, version: true}"), f"{AT}.choices[0].version must be {TEXT}, got true"),
        (choice("job-types", "{name: a, version: 1}, {name: a, version: '1'}"), f'{AT}.choices[1] must be there once, got "a" with "1" again'),
        (choice("ingests", "{name: a}, {name: a}"), f'{AT}.choices[1] must be there once, got "a" again'),
        (
            "catalogues: [{name: errors, choices: [], type: run}]",
            "1: `catalogues[0].type` is not supported: errors is built in, and only its `choices` can be told more of",
        ),
        (
            "catalogues:\n- {name: errors, choices: []}\n- {name: errors, choices: []}",
            '3: catalogues[1].name must be there once, got "errors" again',
        ),
    ],
)  # fmt: skip
def test_error_each_fault_says_line_key_rule_and_value(tmp_path, content, fault):
    assert faults(tmp_path, content) == [fault]


def test_error_all_faults_are_told_at_once(tmp_path):
    content = """\
catalogues:
- name: c
  type: run
  choice: [node]
  groups: [{name: Memory}]
  columns:
  - {name: n, units: u, aggregate: count, group: memory}
  - {name: m, aggregate: total}
- {name: c, type: run}
"""
    assert faults(tmp_path, content) == [
        f'5: catalogues[0].groups[0].name must be {IDENTIFIER}, got "Memory"',
        '8: catalogues[0].columns[1].aggregate must be one of sum, avg, min, max, count, got "total"',
        "8: catalogues[0].columns[1].units must be given, got nothing",
        "9: catalogues[1].choice must be given, got nothing",
        "9: catalogues[1].columns must be given, got nothing",
    ]


def test_contract_SCi_15_quantiles_cannot_be_declared_since_they_do_not_merge(tmp_path):
    (told,) = faults(tmp_path, column(aggregate="quantile", field="x"))
    assert told == f'{COLUMN}.aggregate must be one of sum, avg, min, max, count, got "quantile"'
