"""The structure that the README promises: rooms, tables of strings, and contracts that pull in no engine."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from jobs.control.backend import BACKENDS, MODULES
from jobs.control.cli import COMMANDS
from jobs.control.services import RAY_MODULE, SERVE_MODULE
from jobs.control.spec import Kind

ROOMS = ("cluster", "jobs", "spark_etl", "serve", "cloud")


@pytest.mark.parametrize("reference", [*BACKENDS.values(), *MODULES.values(), *(module for module, _ in COMMANDS.values()), RAY_MODULE, SERVE_MODULE])
def test_every_string_that_points_to_code_resolves(reference: str) -> None:
    module, _, function = reference.partition(":")
    assert importlib.util.find_spec(module) is not None
    if function:
        assert callable(getattr(importlib.import_module(module), function))


def test_every_kind_has_a_module() -> None:
    assert set(MODULES) == set(Kind)


def test_contracts_and_control_pull_in_no_engine() -> None:
    program = """
import importlib, json, pkgutil, sys
for package in ("jobs.contracts", "jobs.control"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
engines = {"ray", "torch", "pyspark", "pysail", "mlflow", "onnxruntime", "matplotlib", "kubernetes", "boto3", "azure", "pandas"}
print(json.dumps(sorted(engines & {name.partition(".")[0] for name in sys.modules})))
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(answer.stdout) == []


def test_the_wheel_holds_the_rooms_and_nothing_else(repository: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(repository)], check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    tops = {path.name for path in (tmp_path / "site").iterdir() if not path.name.endswith(".dist-info")}
    assert tops == set(ROOMS)
    for room in ROOMS:
        program = f"import {room}; print({room}.__file__)"
        answer = subprocess.run([sys.executable, "-c", program], cwd=tmp_path / "site", capture_output=True, text=True, check=True)
        assert answer.stdout.startswith(str(tmp_path / "site"))


def test_no_module_is_named_after_a_library(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    libraries = {name.split("[")[0].split("=")[0].split(">")[0].split("<")[0].split("!")[0].strip().replace("-", "_") for name in wanted}
    names = {path.stem for room in ROOMS for path in (repository / room).rglob("*.py")} - {"__init__", "__main__"}
    assert not names & (libraries | {"ray", "torch", "pyspark", "mlflow", "kubernetes", "utils"})
