"""The files of a new workload, with ``$names`` to fill in."""

from __future__ import annotations

from string import Template

PACKAGE = Template('''"""$title"""
''')

FEATURES = Template('''"""What the columns of $file are, and which of them the model sees.

A feature may use only what is known at the moment of prediction: take out what is filled in later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.contracts.dataset import Role
from jobs.contracts.workload import Features, Output, $imported

ROWS = Table(
    name="rows",
    file="$file",
    columns={
$columns
    },
    expectations=(),  # rules that rows must keep, e.g. Expectation("price_not_positive", "price > 0")
$unique)

OUTPUTS = (
    Output("$key_name", Role.KEY, "", "$key_words"),
$outputs
    Output("$label", Role.LABEL, "", "$label"),
)


def build(params: Mapping[str, Any]) -> Features:
    return Features(tables=(ROWS,), outputs=OUTPUTS, transform=_transform, split=$split)


def _transform(tables: Mapping[str, DataFrame], params: Mapping[str, Any]) -> DataFrame:
    """One row per example. Compute what helps from the columns, and name it in OUTPUTS."""
    return tables["rows"].select(
$selected
    )
''')

MODEL = Template('''"""A network for $task, and the $plain that it must beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from jobs.contracts.dataset import Manifest
from jobs.contracts.workload import Model
from jobs.steps import tabular

NETWORK = {"hidden": 64, "dropout": 0.1, "learning_rate": 5e-3, "weight_decay": 0.01, "max_epochs": 20}
BASELINE = {"learning_rate": 2e-2, "weight_decay": 0.0, "max_epochs": 20}


def build(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    """Embeddings of the texts beside the encoded numbers, through one hidden layer."""
    chosen = tabular.options(NETWORK, params)
    sizes, statistics = _shape(manifest)
    network = tabular.EmbeddingMLP(sizes, statistics, hidden=[chosen["hidden"]], dropout=chosen["dropout"]$outputs)
    return _model("$name", manifest, network, chosen)


def baseline(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    chosen = tabular.options(BASELINE, params)
    sizes, statistics = _shape(manifest)
    return _model("$name-baseline", manifest, tabular.Logistic(sizes, statistics$outputs), chosen)


def _shape(manifest: Manifest) -> tuple[list[int], list[Any]]:
    """How many values each text has, and what the train part says about each number."""
    texts, numbers = tabular.columns(manifest)
    return [len(values) for values in tabular.vocabularies(texts, at_least=5).values()], tabular.statistics_of(numbers)


def _model(name: str, manifest: Manifest, module: nn.Module, chosen: Mapping[str, Any]) -> Model:
    texts, numbers = tabular.columns(manifest)
    vocabularies = tabular.vocabularies(texts, at_least=5)
    return Model(
        name=name,
        module=$module,
        categorical=tuple(vocabularies),
        numeric=tuple(column.name for column in numbers),
        vocabularies=vocabularies,
        learning_rate=chosen["learning_rate"],
        weight_decay=chosen["weight_decay"],
        max_epochs=chosen["max_epochs"],
        patience=5,
        task="$task",$classes
    )
''')

JOB_FILE = Template("""# $title
apiVersion: seatrial/v1
name: $name
code: .

steps:
  features:
    kind: etl
    entry: "$package.features:build"
    inputs: {raw: data}
    outputs: {dataset: dataset}
    time_limit: 30m

  baseline:
    kind: train
    entry: "$package.model:baseline"
    inputs: {dataset: features.dataset}
    outputs: {bundle: bundle}
    params: {seed: 7, batch: $batch}
    resources: {workers: 0, cpu: 1, memory: 1Gi}
    time_limit: 30m

  train:
    kind: train
    entry: "$package.model:build"
    inputs: {dataset: features.dataset}
    outputs: {bundle: bundle}
    params: {seed: 7, batch: $batch}
    resources: {workers: 0, cpu: 1, memory: 1Gi} # workers: 2 trains on two processes with Ray
    retries: 2
    time_limit: 30m

  judge:
    kind: evaluate
    inputs: {dataset: features.dataset, bundle: train.bundle, baseline: baseline.bundle}
    outputs: {report: report}
    params:
      gate: {metric: $metric, beats: [champion], margin: $margin} # add baseline: a first version must then beat it too

  serve:
    kind: deploy
    inputs: {bundle: train.bundle, dataset: features.dataset, report: judge.report}
    params: {check_rows: 1000}
""")

TEST = Template('''"""The whole job file runs, from the table to answers that equal the offline ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1]


def test_the_job_file_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs.control.cli", "run", str(FOLDER / "pipeline.yaml")]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "champion" in answer.stdout
''')
