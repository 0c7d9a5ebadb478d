"""The scripts here run inside their clients' own environments, and are never imported by ours."""

collect_ignore_glob = ["*/*.py"]
