"""The published clients of all contracts, unchanged, against a served run.

Each folder here is a client: `requirements.txt` says what its environment has, and every
`drive*.py` is run inside it with the address and a key. Environments come from the package index
and take minutes, so all this is skipped unless BELLWETHER_CLIENTS is 1; BELLWETHER_CLIENTS_VENVS
may name the folder that they are kept in.
"""

import os
import subprocess
from pathlib import Path

import client_runs
import pytest

HERE = Path(__file__).parent
FOLDERS = sorted(each for each in HERE.iterdir() if (each / "requirements.txt").exists())
SCRIPTS = [script for folder in FOLDERS for script in sorted(folder.glob("drive*.py"))]
_DRIVE_S = 600
_ASKED_FOR = pytest.mark.skipif(
    os.environ.get("BELLWETHER_CLIENTS") != "1", reason="BELLWETHER_CLIENTS is not 1"
)


def _name(path):
    return str(path.relative_to(HERE))


@_ASKED_FOR
@pytest.mark.parametrize("script", SCRIPTS, ids=_name)
def test_golden_client(script, tmp_path, request):
    python = client_runs.environment(script.parent, client_runs.kept_in(request.config.cache))
    with client_runs.served(tmp_path) as url:
        ended = subprocess.run(
            [python, "-W", "ignore", script, url, client_runs.KEY],
            capture_output=True,
            text=True,
            check=False,
            timeout=_DRIVE_S,
            cwd=tmp_path,
        )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"


@pytest.mark.parametrize("folder", FOLDERS, ids=_name)
def test_law_a_client_has_scripts_and_names_no_host(folder):
    assert list(folder.glob("drive*.py"))
    required = (folder / "requirements.txt").read_text()
    assert "://" not in required
    assert client_runs.pip_options(required) in ([], ["--no-deps"])


def test_law_the_stream_is_the_same_every_time():
    assert list(client_runs.stream()) == list(client_runs.stream())
