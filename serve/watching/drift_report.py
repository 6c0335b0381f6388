"""The drift report: live traffic of the last hours against the training data, as numbers and as one self-contained page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from string import Template

import pyarrow.compute as pc

from jobs.contracts import reference as references
from jobs.contracts.errors import RequestError
from jobs.control import artefacts
from jobs.control.registry_reader import ModelVersion
from serve.watching.bars import bars
from serve.watching.drift import ColumnDrift, Counts, finite, measure
from serve.watching.rows import read


@dataclass(frozen=True)
class Report:
    model: str
    version: str
    since: float  # seconds since 1970
    until: float
    rows: int
    columns: list[ColumnDrift]

    @property
    def drifted(self) -> list[str]:
        return [each.name for each in self.columns if each.drifted]


def make(folder: Path, version: ModelVersion, *, hours: float, psi_limit: float, since: float = 0, now: float | None = None) -> Report:
    """Of the rows that this version answered, in the last ``hours`` and not before ``since``.

    Errors: InputError where there is no prediction log, RequestError for a bundle without a reference.
    """
    reference = references.load(artefacts.fetch(version))
    if reference is None:
        what = f"the bundle of {version.name} version {version.version} does not say what its training data looked like"
        raise RequestError(what, where=version.uri, hint="it was made by an older Seatrial: train again")
    until = time.time() if now is None else now
    since = max(since, until - 3600 * hours)
    counts = Counts(reference)
    for table in read(folder, since=since):
        own = table.filter((pc.field("model_version") == version.version) & (pc.field("role") != "shadow"))
        if own.num_rows:
            features = own["features"].combine_chunks()
            columns = {features.type.field(place).name: features.field(place) for place in range(features.type.num_fields)}
            counts.add(columns, own["probability"].combine_chunks())
    return Report(version.name, version.version, since, until, counts.rows, measure(counts, psi_limit=psi_limit) if counts.rows else [])


_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Drift of $model</title>
<style>
 :root { color-scheme: light dark }
 body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem }
 table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #8884 }
 td.n, th.n { text-align: right; font-variant-numeric: tabular-nums } .alarm { color: #d55e00; font-weight: 600 }
 .plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1.5rem } figure { margin: 0 } svg { width: 100% }
 figcaption { font-size: .9rem } .key { font-size: .9rem } .live { color: #2a86c8 } .train { color: #8a94a0 }
</style></head><body>
<h1>Drift of $model version $version</h1>
<p>$rows rows answered from $since to $until (UTC), against the data that the version was trained on. $verdict</p>
<table><thead><tr><th>column</th><th></th><th class="n">rows</th><th class="n">PSI</th><th class="n">by chance</th>
<th class="n">KS</th><th class="n">by chance</th></tr></thead>
<tbody>$table</tbody></table>
<p>PSI, the population stability index: 0.1 is a small shift, 0.25 a large one. KS: the largest difference between both cumulative
distributions. A column has drifted where one of them is above its limit <em>and</em> above what samples of this size show by chance.</p>
<p class="key"><span class="train">■</span> training data &nbsp; <span class="live">■</span> live traffic; height: share of rows</p>
<div class="plots">$plots</div>
</body></html>
""")


def page(report: Report) -> str:
    """HTML with the plots inside; nothing is fetched."""
    names = ", ".join(escape(name) for name in report.drifted)
    return _PAGE.substitute(
        model=escape(report.model),
        version=escape(report.version),
        rows=f"{report.rows:,}",
        since=_moment(report.since),
        until=_moment(report.until),
        verdict=f'<span class="alarm">Drifted: {names}.</span>' if names else "Nothing has drifted." if report.rows else "There is no traffic to look at.",
        table="".join(_row(each) for each in report.columns),
        plots="".join(_figure(each) for each in _worst_first(report.columns)),
    )


def _row(each: ColumnDrift) -> str:
    numbers = (f"{each.rows:,}", *(_number(value) for value in (each.psi, each.psi_by_chance, each.ks, each.ks_by_chance)))
    alarm = '<td class="alarm">drifted</td>' if each.drifted else "<td></td>"
    cells = "".join(f'<td class="n">{number}</td>' for number in numbers)
    return f"<tr><td>{escape(each.name)}</td>{alarm}{cells}</tr>"


def _figure(each: ColumnDrift) -> str:
    alarm = ' <span class="alarm">drifted</span>' if each.drifted else ""
    return f"<figure>{bars(each.name, each.bins, each.expected, each.observed)}<figcaption>{escape(each.name)}, PSI {each.psi:.3f}{alarm}</figcaption></figure>"


def _worst_first(columns: Sequence[ColumnDrift]) -> list[ColumnDrift]:
    return sorted(columns, key=lambda each: (not each.drifted, -each.psi))


def _number(value: float | None) -> str:
    return "-" if finite(value) is None else f"{value:.3f}"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
