"""The report as a reader gets it: one file, complete, safe, and drawn by a real browser."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

from jobs.contracts.job import Context, Job
from jobs.steps import evaluate, report
from jobs.steps.plots import BLUE, GREEN, GREY, INK, ORANGE, RED
from tests import factories

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LATER = """<script>
addEventListener("load", () => {
  const plots = [...document.querySelectorAll("figure svg")];
  document.body.dataset.plots = plots.length;
  document.body.dataset.drawn = plots.filter(plot => plot.getBoundingClientRect().height > 80 && plot.querySelectorAll("path").length > 5).length;
  document.body.dataset.overflow = document.documentElement.scrollWidth > innerWidth;
  document.body.dataset.ink = getComputedStyle(document.querySelector("figure svg text")).fill;
  document.body.dataset.page = getComputedStyle(document.body).backgroundColor;
});
</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    factories.make_dataset(folder / "data", rows=3000)
    factories.make_bundle(folder / "train/bundle", folder / "data", name="<b>parcels</b>")
    factories.make_bundle(folder / "weak/bundle", folder / "data", skill=0.3)
    lines = [f'{{"epoch": {epoch}, "train_loss": {1 / epoch}, "validation_loss": {1.1 / epoch}, "validation_auc": {1 - 0.3 / epoch}}}\n' for epoch in (1, 2, 3)]
    (folder / "train/metrics.jsonl").write_text("".join(lines))
    inputs = {
        "dataset": str(folder / "data"),
        "bundle": str(folder / "train/bundle"),
        "baseline": str(folder / "weak/bundle"),
        "champion": str(folder / "weak/bundle"),
    }
    params = {"slices": ["color", "fold"]}
    job = Job(pipeline="p", run="r", step="judge", kind="evaluate", params=params, inputs=tuple(inputs), outputs=("report",), fingerprint="f")
    evaluate.work(Context(job=job, folder=folder, inputs=inputs, outputs={"report": str(folder / "report")}))
    return folder / "report" / evaluate.REPORT


class Outline(HTMLParser):
    """Identifiers, links, headings, spoken descriptions and unclosed elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self.spoken: list[str] = []
        self.tags: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.ids += [named["id"]] if "id" in named else []
        self.links += [value for name, value in named.items() if name in ("href", "src", "xlink:href", "action", "data")]
        self.spoken += [named.get("aria-label", "")] if tag == "svg" else []
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open in ("h1", "h2", "h3"):
            self.headings.append(data.strip())
        self._open = ""


def test_page_stands_alone(page: Path) -> None:
    text = page.read_text()
    outline = Outline(text)
    assert all(link.startswith("#") for link in outline.links), [link for link in outline.links if not link.startswith("#")]
    assert not {"script", "link", "iframe", "object", "img"} & set(outline.tags)
    assert not re.search(r"url\((?!#)|@import", text)
    assert page.stat().st_size < 2_000_000


def test_every_link_has_its_target_and_identifiers_are_unique(page: Path) -> None:
    outline = Outline(page.read_text())
    assert {link.removeprefix("#") for link in outline.links} <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))


def test_headings_verdict_and_descriptions(page: Path) -> None:
    outline = Outline(page.read_text())
    for heading in (
        "Metrics",
        "Plots",
        "Slices",
        "Data",
        "Lineage",
        "Reproduce",
        "ROC curve",
        "Calibration",
        "Rate and calibration by month",
        "Learning curves",
    ):
        assert heading in outline.headings
    assert "✓ Becomes the champion" in outline.headings
    assert len(outline.spoken) == 8
    assert all(len(text) > 40 and re.search(r"\d", text) for text in outline.spoken)


def test_text_from_the_data_is_escaped(page: Path) -> None:
    text = page.read_text()
    assert "<b>parcels</b>" not in text
    assert "&lt;b&gt;parcels&lt;/b&gt;" in text


def test_the_page_shows_the_numbers_it_was_given(page: Path) -> None:
    text = page.read_text()
    for shown in ("no_label", "not_double:weight", "longest side", "parcels.csv", "1,800", "450", "750", "Not worse than the champion"):
        assert shown in text, shown


def test_lines_differ_without_colour_and_ink_is_used_for_nothing_else() -> None:
    assert len({BLUE, ORANGE, GREEN, RED, GREY, INK}) == 6
    styles = [(style["color"], style["linestyle"]) for style in report.plots_curves.STYLES.values()]
    assert len({color for color, _ in styles}) == len({dashes for _, dashes in styles}) == len(styles)


def browse(page: Path, *flags: str) -> str:
    """The page's DOM after a headless browser laid it out; the browser's whole process group ends with it."""
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            f"--user-data-dir={profile}",
            *flags,
            "--dump-dom",
        ]
        browser = subprocess.Popen([*command, page.as_uri()], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        try:
            return browser.communicate(timeout=90)[0]
        finally:
            if browser.poll() is None:
                os.killpg(browser.pid, signal.SIGKILL)
                browser.wait()


def noted(dom: str) -> dict[str, str]:
    return dict(re.findall(r'data-(\w+)="([^"]*)"', re.search(r"<body[^>]*>", dom)[0]))  # type: ignore[index]


@pytest.mark.parametrize(("width", "scheme"), [(1200, 1), (420, 0)], ids=["desktop-light", "narrow-dark"])
def test_a_browser_draws_every_plot(page: Path, tmp_path: Path, width: int, scheme: int) -> None:
    measured = tmp_path / "measured.html"
    measured.write_text(page.read_text().replace("</body>", LATER + "</body>"))
    found = noted(browse(measured, f"--window-size={width},900", f"--blink-settings=preferredColorScheme={scheme}"))
    assert found["plots"] == found["drawn"] == "8"
    assert found["overflow"] == "false"
    ink, back = (sum(map(int, re.findall(r"\d+", found[name])[:3])) for name in ("ink", "page"))
    assert (ink < 200 and back > 700) if scheme else (ink > 600 and back < 100)  # sums of red, green and blue: each page has its own ink
