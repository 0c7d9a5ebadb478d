"""Elasticsearch's client of the version before is driven by the same words."""

import runpy
from pathlib import Path

OTHER = Path(__file__).parents[1] / "elasticsearch9" / "drive.py"

if __name__ == "__main__":
    runpy.run_path(str(OTHER), run_name="__main__")
