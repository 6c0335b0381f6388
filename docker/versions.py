"""``python3 docker/versions.py ray`` prints the versions that an image will hold, as one JSON object; ``spark`` likewise.

It is the label ``io.seatrial.versions`` and the chart's ConfigMap ``seatrial-versions``, in the form of
``jobs.contracts.versions.installed``. Read from the project's own files, before anything is built or installed.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENGINES = {"ray": {"ray": "ray", "torch": "torch"}, "spark": {"spark": "pyspark"}}  # image -> name -> distribution


def versions(image: str, root: Path = ROOT) -> dict[str, str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    constraints = (root / "constraints.txt").read_text()
    python = _only(r"^ARG PYTHON_IMAGE=python:([\d.]+)", (root / "Dockerfile").read_text(), "the Python image")
    engines = {name: _only(rf"^{package}==([^\s;]+)", constraints, package) for name, package in ENGINES[image].items()}
    return {"python": python, "seatrial": project["version"], **engines}


def _only(pattern: str, text: str, what: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if not found:
        raise SystemExit(f"versions.py: there is no version of {what}")
    return found[1]


if __name__ == "__main__":
    if sys.argv[1:] not in ([image] for image in ENGINES):
        raise SystemExit(f"usage: versions.py {'|'.join(ENGINES)}")
    print(json.dumps(versions(sys.argv[1])))
