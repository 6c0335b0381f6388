"""What a new workload takes from a CSV: types, the label's task, the key, the time."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.contracts.errors import InputError, RequestError
from jobs.control.scaffold import table, writing
from jobs.control.scaffold.table import Csv


def written(folder: Path, header: str, row: str, rows: int = 40) -> Csv:
    """``row`` is formatted with the row's number ``n``."""
    path = folder / "t.csv"
    path.write_text("\n".join([header, *(row.format(n=n, two=n % 2, three="abc"[n % 3], day=n % 28 + 1) for n in range(rows))]) + "\n")
    return table.read(path)


@pytest.mark.parametrize(
    ("label", "task"),
    [("{two}", "binary"), ("{three}", "multiclass"), ("{n}.5", "regression"), ("{n}", "regression"), ("true", "binary")],
)
def test_the_labels_values_say_the_task(tmp_path: Path, label: str, task: str) -> None:
    found = table.roles(written(tmp_path, "id,x,y", f"k{{n}},{{n}}.1,{label}"))
    assert (found.label, found.task, found.key, found.features) == ("y", task, "id", ("x",))


def test_a_moment_divides_and_other_moments_are_left_out(tmp_path: Path) -> None:
    found = written(tmp_path, "at,x,y", "2024-03-{day:02} 10:00:00,{n},{two}")
    roles = table.roles(found)
    assert (roles.time, roles.key, roles.features) == ("at", "", ("x",))
    assert roles.moments[0] < roles.moments[1]


def test_a_column_that_identifies_is_known_by_its_name(tmp_path: Path) -> None:
    assert table.roles(written(tmp_path, "x,customer_id,y", "{n}.5,{n},{two}")).key == "customer_id"
    assert table.roles(written(tmp_path, "x,count,y", "{n}.5,{n},{two}")).key == ""


@pytest.mark.parametrize(
    ("options", "what"), [({"label": "z"}, "no column 'z'"), ({"label": "at"}, "a moment cannot be predicted"), ({"label": "name"}, "80 different texts")]
)
def test_what_cannot_be_predicted_is_refused(tmp_path: Path, options: dict[str, str], what: str) -> None:
    with pytest.raises(RequestError, match=what):
        table.roles(written(tmp_path, "at,name,x", "2024-03-{day:02},n{n},{two}", rows=80), **options)  # type: ignore[arg-type]


def test_files_that_are_no_table(tmp_path: Path) -> None:
    for header, row, rows, what in (("a,b", "{n},1", 3, "only 3 rows"), ("a.b,c", "{n},1", 30, "is no name for code"), ("a,b", "1,2,3", 30, "cannot be read")):
        with pytest.raises(InputError, match=what):
            written(tmp_path, header, row, rows)
    with pytest.raises(InputError, match="cannot be read"):
        table.read(tmp_path / "none.csv")


@pytest.mark.parametrize("name", ["Churn", "a_b", "class", "9lives", "x" * 31])
def test_names_that_a_job_file_could_not_have(name: str) -> None:
    with pytest.raises(RequestError, match="cannot be a workload's name"):
        writing.package_of(name)
    assert writing.package_of("house-prices") == "house_prices"
