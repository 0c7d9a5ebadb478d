"""Code about the code: exports, docstrings, sizes, and that the README tells all there is."""

import ast
import re
from pathlib import Path

import pytest
from harness import fresh_store

from engine.metrics import AGGREGATES, CATALOGUE
from engine.relations import VIEWS
from flows.__main__ import main
from flows.settings import load

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PACKAGES = ("engine", "connectors", "flows")
ROOMS = sorted(
    path for name in PACKAGES for path in (ROOT / name).rglob("*.py") if path.name != "__init__.py"
)
FILES = sorted([*ROOMS, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path):
    return str(path.relative_to(ROOT))


def tree_of(path):
    return ast.parse(path.read_text())


def bound(tree):
    """Give the names that the module's top level binds."""
    for node in tree.body:
        if isinstance(node, FUNCTIONS | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)


def exported(tree):
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return None


def test_there_are_rooms():
    assert len(ROOMS) > 20


@pytest.mark.parametrize("path", ROOMS, ids=name_of)
def test_each_room_says_what_it_gives_and_exports_it(path):
    tree = tree_of(path)
    docstring = ast.get_docstring(tree) or ""
    assert docstring.split("\n")[0].endswith((".", ":", "?")), "the first line is one sentence"
    names = exported(tree)
    assert names is not None, "__all__ is missing"
    assert len(names) == len(set(names))
    assert set(names) <= set(bound(tree))
    assert not [name for name in names if name.startswith("_")]


@pytest.mark.parametrize("path", ROOMS, ids=name_of)
def test_no_room_borrows_another_ones_underscore(path):
    borrowed = [
        alias.name
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES
        for alias in node.names
        if alias.name.startswith("_")
    ]
    assert borrowed == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, FUNCTIONS) and node.end_lineno - node.lineno + 1 > 60
    ]
    assert long == []


def commands(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.split("COMMAND\n", 1)[1].splitlines()
    return [line.split()[0] for line in lines if line.startswith("    ") and line[4:5].isalpha()]


def test_the_readme_names_every_command(capsys):
    readme = README.read_text()
    found = commands(capsys)
    names = "run serve sql export repair check demo anomaly metrics user"
    assert found == names.split()
    assert [name for name in found if f"bellwether {name}" not in readme] == []


def test_the_readme_names_every_relation_with_all_columns():
    told = dict(re.findall(r"^\| `(\w+)` \|(.*)$", README.read_text(), re.MULTILINE))
    store = fresh_store()
    for relation in (name for name in VIEWS if not name.startswith("_")):
        columns = [row[0] for row in store.execute(f"DESCRIBE {relation}").fetchall()]
        assert [name for name in columns if f"`{name}`" not in told[relation]] == [], relation


def test_the_readme_names_every_metric():
    readme = README.read_text()
    names = [f"`{metric.name}`" for metric in CATALOGUE] + [f"`{name}(p)`" for name in AGGREGATES]
    assert [name for name in names if name not in readme] == []


def test_the_configuration_in_the_readme_is_one(tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    path = tmp_path / "config.yaml"
    path.write_text(block)
    settings = load(str(path))
    assert (settings.models[0].id, settings.administrators) == ("triage", ("ana",))
