"""From a CSV and its columns' roles to the files of a workload that runs at once."""

from __future__ import annotations

import csv
import keyword
import math
import random
import re
import shutil
from pathlib import Path

from jobs.contracts.errors import RequestError
from jobs.control.scaffold import templates
from jobs.control.scaffold.table import Csv, Roles

_KEY = "row"  # of a table without a column that identifies
_METRICS = {"binary": ("roc_auc", 0.01), "multiclass": ("accuracy", 0.01), "regression": ("rmse", 0.0), "forecast": ("rmse", 0.0)}
_SAMPLE_ROWS = 2_000


def package_of(name: str) -> str:
    """The Python package of a workload.

    Errors: RequestError for a name that a job file could not have.
    """
    package = name.replace("-", "_")
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,28}[a-z0-9])?", name) or keyword.iskeyword(package):
        raise RequestError(f"{name!r} cannot be a workload's name", where="NAME", hint="use lower-case letters, digits and hyphens, e.g. house-prices")
    return package


def write(folder: Path, name: str, table: Csv, roles: Roles) -> list[Path]:
    """Every file of the workload, in a folder that must not exist yet; their paths."""
    package = package_of(name)
    if folder.exists():
        raise RequestError("this folder is there already", where=str(folder), hint="choose another name, or remove it")
    title = f"Predict {roles.label} from the columns of {table.path.name}."
    metric, margin = _METRICS[roles.task]
    train_rows = 0.7 * table.rows.num_rows
    batch = max(16, min(1024, 2 ** int(math.log2(max(16.0, train_rows / 40)))))
    texts = {
        f"{package}/__init__.py": templates.PACKAGE.substitute(title=title),
        f"{package}/features.py": _features(table, roles),
        f"{package}/model.py": _model(name, roles),
        "pipeline.yaml": templates.JOB_FILE.substitute(title=title, name=name, package=package, batch=batch, metric=metric, margin=margin),
        f"tests/test_{package}.py": templates.TEST.substitute(),
    }
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "data").mkdir()
    shutil.copyfile(table.path, folder / "data" / table.path.name)
    return [folder / path for path in (*texts, f"data/{table.path.name}")]


def _features(table: Csv, roles: Roles) -> str:
    known = {one.name: one for one in table.columns}
    key_words = "identifies a row" if roles.key else "hash of the row: equal rows fall in one part"
    outputs = [f'    Output("{roles.time}", Role.TIME, "UTC"),'] if roles.time else []
    outputs += [f'    Output("{name}", Role.FEATURE),' for name in roles.features]
    outputs += [f"    # not used: {name}" for name in roles.unused]
    every = 'F.coalesce(F.col(name).cast("string"), F.lit("")) for name in ROWS.columns'
    selected = [f'        "{roles.key}",' if roles.key else f'        F.sha2(F.concat_ws("|", *({every})), 256).alias("{_KEY}"),']
    selected += [f'        "{roles.time}",'] if roles.time else []
    selected += [f'        F.col("{name}").cast("long").alias("{name}"),' if known[name].sql == "boolean" else f'        "{name}",' for name in roles.features]
    return templates.FEATURES.substitute(
        file=table.path.name,
        columns="\n".join(f'        "{one.name}": "{one.sql}",' for one in table.columns),
        unique=f'    unique=("{roles.key}",),\n' if roles.key else "",
        key_name=roles.key or _KEY,
        key_words=key_words,
        outputs="\n".join(outputs),
        label=roles.label,
        imported="Table, TimeSplit" if roles.time else "RandomSplit, Table",
        split=f'TimeSplit(validation="{roles.moments[0]}", test="{roles.moments[1]}")' if roles.time else "RandomSplit(train=0.7, validation=0.1)",
        selected="\n".join([*selected, f"        {_label(roles)},"]),
    )


def _label(roles: Roles) -> str:
    kind = {"binary": "long", "multiclass": "string"}.get(roles.task, "double")
    return f'F.col("{roles.label}").cast("{kind}").alias("{roles.label}")'


def _model(name: str, roles: Roles) -> str:
    several, number = roles.task == "multiclass", roles.task in ("regression", "forecast")
    return templates.MODEL.substitute(
        name=name,
        task=roles.task,
        plain="linear regression" if number else "logistic regression",
        outputs=", outputs=len(tabular.classes(manifest))" if several else "",
        module="tabular.InUnits(module, manifest.label)" if number else "module",
        classes="\n        classes=tabular.classes(manifest)," if several else "",
    )


def sample(path: Path) -> None:
    """A made-up table of parcels, always the same: is one delivered late? It depends on where it goes, its weight and the season."""
    chance = random.Random(7)  # noqa: S311 - made-up data
    regions = {"city": -1.2, "suburb": -0.6, "country": 0.4, "island": 1.3}
    with path.open("w", newline="") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow(["id", "sent_at", "region", "weight", "items", "express", "late"])
        for number in range(_SAMPLE_ROWS):
            day = number * 360 // _SAMPLE_ROWS
            region, weight, items, express = chance.choice(list(regions)), round(chance.lognormvariate(1, 0.6), 2), chance.randint(1, 6), chance.random() < 0.3
            score = regions[region] + 0.25 * (weight - 3) - 1.1 * express + 0.6 * math.cos(day / 57)
            late = int(chance.random() < 1 / (1 + math.exp(-score)))
            moment = f"2024-{day // 30 + 1:02}-{min(day % 30 + 1, 28):02} {chance.randint(8, 19):02}:{chance.randint(0, 59):02}:00"
            lines.writerow([number, moment, region, "" if chance.random() < 0.03 else weight, items, str(express).lower(), late])
