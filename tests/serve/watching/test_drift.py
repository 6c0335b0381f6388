"""Drift: no alarm without a shift, whatever the sample size or the column's shape; an alarm with one."""

from __future__ import annotations

import html.parser
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.contracts import reference as references
from jobs.contracts.bundle import InputField
from jobs.contracts.errors import InputError, RequestError
from jobs.contracts.reference import Reference
from jobs.scoring import histograms
from serve.model import LoadedModel
from serve.watching import drift_report
from serve.watching.drift import Counts, drifted, measure
from serve.watching.live_drift import COMPARE, SLOT, SLOTS, LiveDrift
from serve.watching.prediction_log import PredictionLog
from serve.watching.rows import model_folder
from serve.watching.settings import LogSettings
from serve.watching.shift import chi_square, stability_index, stability_noise
from tests.serve.conftest import Published
from tests.serve.watching.conftest import batch, with_private

INPUTS = (InputField(name="x", kind="number"), InputField(name="flag", kind="number"), InputField(name="c", kind="category"))


def table(random: np.random.Generator, rows: int, *, moved: float = 0, ones: float = 0.3, nulls: float = 0.1, values: str = "abbccc") -> dict[str, Any]:
    return {
        "x": pa.array(random.normal(moved, 1, rows), mask=random.random(rows) < nulls),
        "flag": pa.array((random.random(rows) < ones).astype(float)),  # most deciles of it are equal
        "c": pa.array(random.choice(list(values), rows), mask=random.random(rows) < 0.05),
    }


@pytest.fixture(scope="module")
def reference() -> Reference:
    random = np.random.default_rng(1)
    return histograms.reference(INPUTS, table(random, 20_000), random.beta(2, 5, 5_000).astype(np.float32))


def seen(reference: Reference, rows: int, *, seed: int = 2, scores: tuple[float, float] = (2, 5), **shape: Any) -> Counts:
    random, counts = np.random.default_rng(seed), Counts(reference)
    counts.add(table(random, rows, **shape), pa.array(random.beta(*scores, rows).astype(np.float32)))
    return counts


@pytest.mark.parametrize("rows", [1, 20, 100, 500, 5_000, 100_000])
def test_the_same_distribution_raises_no_alarm_at_any_size(reference: Reference, rows: int) -> None:
    looks = 50 if rows <= 5_000 else 3
    assert [names for seed in range(looks) if (names := drifted(measure(seen(reference, rows, seed=seed))))] == []


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ({"moved": 1.0}, "x"),
        ({"ones": 0.7}, "flag"),
        ({"nulls": 0.6}, "x"),
        ({"values": "aaaaab"}, "c"),
        ({"values": "zzc"}, "c"),
        ({"scores": (5, 2)}, "probability"),
    ],
)
def test_a_shift_is_found_in_a_few_hundred_rows_and_named(reference: Reference, shape: dict[str, Any], name: str) -> None:
    assert drifted(measure(seen(reference, 300, **shape))) == [name]


def test_a_shift_that_does_not_matter_is_none_at_any_size(reference: Reference) -> None:
    found = {each.name: each for each in measure(seen(reference, 300_000, moved=0.05))}
    assert found["x"].psi > found["x"].psi_by_chance  # it is there for certain
    assert not found["x"].drifted


def test_shares_add_up_and_values_never_seen_are_told(reference: Reference) -> None:
    found = {each.name: each for each in measure(seen(reference, 1_000, values="abcz"))}
    for each in found.values():
        assert sum(each.expected) == pytest.approx(1, abs=1e-3)
        assert sum(each.observed) == pytest.approx(1, abs=1e-3)
        assert len(each.bins) == len(each.expected) == len(each.observed)
    assert found["c"].unseen == pytest.approx(0.25 * 0.95, abs=0.05)
    assert (found["c"].ks, found["x"].unseen) == (None, 0)


def test_counts_add_up(reference: Reference) -> None:
    parts = seen(reference, 100, seed=3) + seen(reference, 200, seed=4)
    assert parts.rows == 300
    assert all(counts.sum() == 300 for counts in [*parts.columns.values(), parts.scores])  # type: ignore[union-attr]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(width=32)), max_size=50), st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=50))
def test_any_column_is_counted_completely(numbers: list[float | None], texts: list[str | None]) -> None:
    columns = {"n": pa.array(numbers, pa.float64()), "t": pa.array(texts, pa.string())}
    inputs = (InputField(name="n", kind="number"), InputField(name="t", kind="category"))
    made = Reference.model_validate_json(histograms.reference(inputs, columns, np.float32([0.5])).model_dump_json())
    for histogram, values in zip(made.columns, (numbers, texts), strict=True):
        counts, nulls = histograms.count(histogram, columns[histogram.name])
        assert (counts.sum() + nulls, tuple(counts), nulls) == (len(values), histogram.counts, histogram.nulls)


def test_the_quantiles_of_chi_square() -> None:
    known = {(1, 0.05): 3.841, (9, 0.05): 16.919, (9, 0.001): 27.877, (30, 0.001): 59.703}  # NIST/SEMATECH e-Handbook, 1.3.6.7.4
    assert {key: chi_square(*key) for key in known} == pytest.approx(known, rel=0.03)


def test_the_stability_index_and_its_noise() -> None:
    assert stability_index([50, 50], [50, 50]) == 0
    assert stability_index([50, 50], [90, 10]) == pytest.approx(0.4 * math.log(1.8) - 0.4 * math.log(0.2))
    random = np.random.default_rng(0)
    draws = [stability_index(*(random.multinomial(n, [0.1] * 10) for n in (4_000, 1_000))) for _ in range(2_000)]
    assert np.mean(np.array(draws) > stability_noise(4_000, 1_000, 10, 0.05)) == pytest.approx(0.05, abs=0.02)
    assert stability_noise(100, 0, 10, 0.05) == math.inf


def test_a_private_column_has_no_reference(model: LoadedModel) -> None:
    assert model.reference is not None
    assert [each.name for each in model.reference.columns] == ["color", "size", "weight"]
    hidden = histograms.reference(with_private(model, "color").bundle.inputs, batch(model, 10).columns, np.float32([0.5]))
    assert [each.name for each in hidden.columns] == ["size", "weight"]


def test_a_replica_shows_the_drift_of_the_last_hour(model: LoadedModel) -> None:
    now = [1_000.0]
    live = LiveDrift(clock=lambda: now[0])

    def names(seconds: float = COMPARE) -> list[str]:
        now[0] += seconds
        live.tick()
        return drifted(live.found)

    assert names() == []
    live.see(batch(model, 500, shift=30), "shadow")
    assert names() == []
    assert live.state() == {"drift": []}
    live.see(batch(model, 500, shift=30), "champion")
    assert "size" in names()
    live.see(batch(model, 9_000, seed=4), "champion")
    assert next(each.rows for each in live.found) == 500
    names(COMPARE / 2)
    assert next(each.rows for each in live.found) == 500  # not compared anew at every look
    names()
    assert next(each.rows for each in live.found) == 2_500  # of a large batch, a sample
    assert names(SLOT * SLOTS) == []
    live.see(batch(model, 500, seed=5), "champion")
    assert names() == []
    assert {each["column"] for each in live.state()["drift"]} == {"probability", "color", "size", "weight"}
    json.dumps(live.state(), allow_nan=False)


def logged(folder: Path, *batches: tuple[Any, str]) -> Path:
    log = PredictionLog(LogSettings(folder=str(folder)), "parcels", "a")
    for given_batch, role in batches:
        log.see(given_batch, role)
    log.close()
    return model_folder(folder, "parcels")


class Page(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value for name, value in attrs if name in ("src", "href") and value]
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_of_the_log(model: LoadedModel, published: Published, tmp_path: Path) -> None:
    folder = logged(tmp_path, (batch(model, 800, shift=8), "champion"), (batch(model, 800, seed=9), "shadow"))
    report = drift_report.make(folder, published.version(1), hours=1, psi_limit=0.2)
    assert report.rows == 800  # what a shadow scored is a copy
    assert set(report.drifted) == {"size", "probability"}
    text = drift_report.page(report)
    parsed = Page(text)
    assert (parsed.open, parsed.loads) == ([], [])
    assert text.count("<svg") == 4
    assert "Drifted: probability, size." in text or "Drifted: size" in text


def test_the_report_escapes_what_clients_sent(model: LoadedModel, published: Published, tmp_path: Path) -> None:
    report = drift_report.make(logged(tmp_path, (batch(model, 300), "champion")), published.version(1), hours=1, psi_limit=0.2)
    evil = [each.__class__(**{**each.__dict__, "name": "<script>", "bins": ("<b>",) * len(each.bins)}) for each in report.columns]
    text = drift_report.page(drift_report.Report(**{**report.__dict__, "columns": evil, "model": "<i>"}))
    assert "<script>" not in text
    assert "<b>" not in text
    assert "<i>" not in text


def test_only_the_version_and_the_time_asked_for_count(model: LoadedModel, published: Published, tmp_path: Path) -> None:
    folder = logged(tmp_path, (batch(model, 100), "champion"))
    assert drift_report.make(folder, published.version(2), hours=1, psi_limit=0.2).rows == 0
    assert drift_report.make(folder, published.version(1), hours=1, psi_limit=0.2, now=time.time() + 7_200).rows == 0
    assert drift_report.make(folder, published.version(1), hours=1, psi_limit=0.2, since=time.time() + 1).rows == 0
    assert "no traffic" in drift_report.page(drift_report.make(folder, published.version(2), hours=1, psi_limit=0.2))


def test_what_is_missing_is_said(published: Published, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prediction log"):
        drift_report.make(tmp_path / "none", published.version(1), hours=1, psi_limit=0.2)
    assert references.load(str(tmp_path)) is None
    old = published.version(1).__class__("parcels", "1", str(tmp_path), "")
    with pytest.raises(RequestError, match="does not say what its training data looked like"):
        drift_report.make(tmp_path, old, hours=1, psi_limit=0.2)
