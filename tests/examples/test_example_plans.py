"""The examples' other job files on every target, word for word; a change must be looked at and accepted."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from jobs.control import spec_file
from jobs.control.backend import BACKENDS, open_backend
from jobs.control.home import Home
from tests.cloud import planned

GOLDEN = Path(__file__).parent / "golden"
ACCEPT = "SEATRIAL_ACCEPT_GOLDEN"
_ACCEPTED = bool(os.environ.get(ACCEPT))  # read before each test's environment is cleaned
EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = {
    "batch": "flights/batch.yaml",
    "tuning": "flights/tuning.yaml",
    "folds": "flights/folds.yaml",
    "delay": "flights/delay.yaml",
    "daily": "flights/daily.yaml",
    "digits": "digits/pipeline.yaml",
    "spam": "text/pipeline.yaml",
}


class _Readable(yaml.SafeDumper):
    """Files inside ConfigMaps as blocks of lines."""

    def ignore_aliases(self, data: object) -> bool:
        return True


_Readable.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None))


@pytest.mark.parametrize("target", BACKENDS)
@pytest.mark.parametrize("file", FILES)
def test_it_is_planned_as_accepted(file: str, target: str, tmp_path: Path) -> None:
    pipeline = spec_file.load(EXAMPLES / FILES[file])
    backend = open_backend(target, Home(Path("/home/.seatrial")), pipeline.targets)
    (tmp_path / "model.py").write_text("def build(manifest, params): ...\n")  # only Kubernetes' plans hold the code itself
    code = replace(planned.CODE, uri=str(tmp_path))
    plans = [plan for name, plan in planned.plans(backend, pipeline, code=code).items() if pipeline.steps[name].kind not in ("etl", "evaluate")]
    text = yaml.dump_all((plan.as_dict() for plan in plans), Dumper=_Readable, sort_keys=False, width=140).replace(str(tmp_path), planned.CODE.uri)
    path = GOLDEN / f"{file}-{target}.yaml"
    if _ACCEPTED:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{path} differs; look at the change, then accept it with {ACCEPT}=1 pytest {Path(__file__).name}"
