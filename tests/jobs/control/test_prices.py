"""Costs: arithmetic by hand, unknown prices, and a price file whose every entry has a source and a date."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.contracts.errors import InputError, SpecError
from jobs.control.home import Home
from jobs.control.plan import Plan, Request
from jobs.control.prices import FILE, VARIABLE, HourlyPrice, Prices, load_prices, price_of, with_price
from jobs.control.spec import Step
from tests.jobs.control.specs import durations, resources

CPU = {"target": "kubernetes", "what": "cpu-hour", "price": 0.04, "currency": "USD", "source": "our contract", "date": "2026-06-30"}
GIB = {**CPU, "what": "gib-hour", "price": 0.005}
GPU = {**CPU, "what": "gpu-hour", "price": 1.2, "source": "https://example.com/gpus"}
A10G = {**GPU, "accelerator": "A10G", "price": 0.8}
MACHINE = {**CPU, "target": "sagemaker", "what": "instance-hour", "instance": "ml.m5.large", "price": 0.12}


def prices(*rows: dict[str, Any]) -> Prices:
    entries = [HourlyPrice.model_validate(row) for row in rows]
    return Prices({entry.key: entry for entry in entries})


def step(**fields: Any) -> Step:
    return Step.model_validate({"kind": "train", "entry": "a:b", "resources": {"workers": 2, "cpu": 1, "memory": "2Gi"}, **fields})


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_price_is_resources_times_workers_times_one_minute_to_the_limit() -> None:
    price = price_of("kubernetes", step(time_limit="30m"), prices(CPU, GIB))
    assert price is not None
    assert price.low == pytest.approx(2 * (1 * 0.04 + 2 * 0.005) / 60, rel=1e-3)
    assert price.high == pytest.approx(2 * (1 * 0.04 + 2 * 0.005) / 2)
    assert price.currency == "USD"
    assert "2 workers x (1 cpu-hour at 0.04 + 2 gib-hour at 0.005 USD)" in price.basis
    assert "time limit of 30m" in price.basis
    assert "our contract (2026-06-30)" in price.basis


def test_without_a_time_limit_an_hour_is_assumed_and_said() -> None:
    price = price_of("kubernetes", step(), prices(CPU, GIB))
    assert price is not None
    assert price.high == pytest.approx(2 * 0.05)
    assert "one hour, for it has no time limit" in price.basis


def test_a_limit_below_a_minute_is_both_ends() -> None:
    price = price_of("kubernetes", step(time_limit="30s"), prices(CPU, GIB))
    assert price is not None
    assert price.low == price.high == pytest.approx(2 * 0.05 / 120, rel=1e-3)


@pytest.mark.parametrize(("workers", "ratio"), [(0, 1), (1, 1), (3, 3), ({"min": 2, "max": 5}, 5)])
def test_elastic_steps_cost_from_the_fewest_to_the_most_workers(workers: Any, ratio: int) -> None:
    each = price_of("kubernetes", step(resources={"workers": 1}, time_limit="1h"), prices(CPU, GIB))
    price = price_of("kubernetes", step(resources={"workers": workers}, time_limit="1h"), prices(CPU, GIB))
    assert each is not None
    assert price is not None
    assert price.high == pytest.approx(ratio * each.high)
    assert price.low == pytest.approx((2 if isinstance(workers, dict) else ratio) * each.low, rel=1e-3)


@pytest.mark.parametrize(
    ("accelerator", "rows", "hourly"), [("A10G", [GPU, A10G], 0.8), ("a10g", [A10G], 0.8), ("T4", [GPU, A10G], 1.2), ("", [GPU, A10G], 1.2)]
)
def test_a_gpu_has_the_price_of_its_type_else_of_any(accelerator: str, rows: list[dict[str, Any]], hourly: float) -> None:
    price = price_of("kubernetes", step(resources={"gpu": 2, "memory": "1Gi", "accelerator": accelerator}), prices(CPU, GIB, *rows))
    assert price is not None
    assert price.high == pytest.approx(0.04 + 0.005 + 2 * hourly)


@pytest.mark.parametrize(
    ("target", "rows", "gpu"),
    [
        ("local", [CPU, GIB], {}),
        ("kubernetes", [CPU], {}),
        ("kubernetes", [GIB], {}),
        ("kubernetes", [CPU, GIB], {"gpu": 1}),
        ("kubernetes", [CPU, GIB, A10G], {"gpu": 1}),
    ],
)
def test_what_is_not_wholly_known_has_no_price(target: str, rows: list[dict[str, Any]], gpu: dict[str, int]) -> None:
    assert price_of(target, step(resources=gpu), prices(*rows)) is None


def test_a_target_that_rents_machines_is_priced_by_the_machine_that_the_request_names() -> None:
    requests = (Request("CreateTrainingJob", {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2}}),)
    plan = Plan("sagemaker", "run", "train", "sagemaker://x", "s3://b/f", requests, {})
    priced = with_price(plan, step(time_limit="1h"), prices(MACHINE))
    assert priced.cost is not None
    assert priced.cost.high == pytest.approx(0.24)
    assert priced.requests is plan.requests
    other = Plan("sagemaker", "run", "train", "sagemaker://x", "s3://b/f", (Request("CreateTrainingJob", {"InstanceType": "ml.x"}),), {})
    assert with_price(other, step(), prices(MACHINE)).cost is None


@given(asked=resources, limit=durations, cpu=st.floats(0, 100), gib=st.floats(0, 100))
def test_a_range_is_never_upside_down(asked: dict[str, Any], limit: str, cpu: float, gib: float) -> None:
    price = price_of("kubernetes", step(resources=asked, time_limit=limit), prices({**CPU, "price": cpu}, {**GIB, "price": gib}, GPU))
    assert price is not None
    assert 0 <= price.low <= price.high


def test_the_packaged_file_is_valid_and_each_price_says_where_and_when(tmp_path: Path) -> None:
    packaged = load_prices(Home(tmp_path))
    assert packaged.entries
    for entry in packaged.entries.values():
        assert re.search(r"https://\S+", entry.source)
        assert entry.date.year >= 2025


ROWS = """\
prices:
  - {target: kubernetes, what: cpu-hour, price: 9, currency: EUR, source: mine, date: 2026-01-02}
"""


def test_the_users_files_replace_the_packaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home")
    write(home.root / FILE, ROWS)
    found = load_prices(home)
    assert [(entry.price, entry.currency) for entry in found.entries.values()] == [(9, "EUR")]
    monkeypatch.setenv(VARIABLE, str(write(tmp_path / "other.yaml", ROWS.replace("price: 9", "price: 7"))))
    assert [entry.price for entry in load_prices(home).entries.values()] == [7]
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere.yaml"))
    with pytest.raises(InputError, match="price file"):
        load_prices(home)


def test_an_empty_list_means_that_no_price_is_known(tmp_path: Path) -> None:
    write(tmp_path / FILE, "prices:\n")
    assert not load_prices(Home(tmp_path)).entries


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (", date: 2026-01-02", "", "date"),
        ("2026-01-02", "lately", "date"),
        ("source: mine", "source: ''", "source"),
        (", source: mine", "", "source"),
        ("cpu-hour", "cpu-hours", "what"),
        ("price: 9", "price: -1", "price"),
        ("price: 9", "price: .nan", "price"),
        ("EUR", "euros", "currency"),
        ("cpu-hour", "instance-hour", "needs `instance`"),
        ("cpu-hour", "cpu-hour, accelerator: A10G", "only gpu-hour"),
        ("price: 9", "prize: 9", "prize"),
    ],
)
def test_a_price_that_is_not_acceptable_is_named_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = write(tmp_path / FILE, "# mine\n" + ROWS.replace(old, new))
    with pytest.raises(SpecError) as caught:
        load_prices(Home(tmp_path))
    assert caught.value.where == f"{path}:3"
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["", "- 1", "prices: 3", "prices: [1]", "prices: [", "price: []", "prices: []\nmore: 1"])
def test_what_is_no_price_file_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path / FILE, text)
    with pytest.raises(SpecError):
        load_prices(Home(tmp_path))


def test_amounts_that_cannot_be_added_are_refused(tmp_path: Path) -> None:
    second = ROWS.partition("\n")[2]
    write(tmp_path / FILE, ROWS + second)
    with pytest.raises(SpecError, match="two prices for kubernetes cpu-hour"):
        load_prices(Home(tmp_path))
    write(tmp_path / FILE, ROWS + second.replace("cpu", "gib").replace("EUR", "USD"))
    with pytest.raises(SpecError, match="EUR and USD"):
        load_prices(Home(tmp_path))


def test_the_wheel_carries_the_price_file(repository: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(repository)], check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        assert f"jobs/control/{FILE}" in wheel.namelist()
