"""What every plot of a report shares: the palette, a canvas, and the two files each becomes.

The SVG goes into the report: its text stays text, and its ink is ``currentColor``, so it follows a light or dark page.
The PNG lies beside the report, for slides and chats. Figures are drawn without pyplot: no global state, no display.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from jobs.steps.contenders import BASELINE, CHAMPION, MODEL, UNCALIBRATED

INK = "#2b3440"  # replaced by currentColor in the SVG, so nothing else may use this very colour
# Okabe and Ito 2008: told apart with any colour vision; the line styles say the same once more.
BLUE, ORANGE, GREEN, RED, GREY = "#2a86c8", "#e69f00", "#009e73", "#d55e00", "#8a94a0"
STYLES: dict[str, dict[str, Any]] = {
    MODEL: {"color": BLUE, "linestyle": "-", "linewidth": 2.2, "zorder": 4},
    BASELINE: {"color": ORANGE, "linestyle": "--", "linewidth": 1.7, "zorder": 3},
    CHAMPION: {"color": GREEN, "linestyle": "-.", "linewidth": 1.7, "zorder": 3},
    UNCALIBRATED: {"color": RED, "linestyle": (0, (1, 1.5)), "linewidth": 1.7, "zorder": 3},
}
_SETTINGS: Any = {
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "seatrial",  # equal numbers draw equal bytes
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
NARROW, WIDE = 5.6, 11.8  # inches: one column of the report, or both; text is equally large in either
_DPI = 110


@dataclass(frozen=True)
class Plot:
    """One figure of the report; ``what`` and ``good`` are one sentence each, for a reader who never saw such a plot."""

    name: str
    title: str
    alt: str
    what: str
    good: str
    svg: str
    png: bytes
    wide: bool = False  # takes both columns of the report


@contextmanager
def canvas(columns: int = 1, rows: int = 1, *, width: float = NARROW, height: float = 4.0, **grid: Any) -> Iterator[tuple[Figure, list[Axes]]]:
    """A styled figure, sizes in inches, with its axes in reading order."""
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
        yield figure, list(figure.subplots(rows, columns, squeeze=False, **grid).flat)


def finish(figure: Figure, name: str, title: str, *, alt: str, what: str, good: str) -> Plot:
    """Both files of a finished figure; call it inside :func:`canvas`, whose settings also hold for writing.

    ``savefig`` would lay the figure out and draw it twice per file; laid out once and written directly it takes half the time.
    """
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    figure.set_layout_engine("none")
    return Plot(name, title, alt, what, good, _svg(figure, name, alt), _png(figure), wide=figure.get_figwidth() > NARROW)


def _png(figure: Figure) -> bytes:
    sink = io.BytesIO()
    figure.set_facecolor("white")
    FigureCanvasAgg(figure).print_png(sink, pil_kwargs={"compress_level": 1})
    return sink.getvalue()


def _svg(figure: Figure, name: str, alt: str) -> str:
    """An ``<svg>`` element that can stand in a page among others: no prologue, own identifiers, a spoken description."""
    sink = io.StringIO()
    dpi = figure.dpi
    figure.dpi = 72  # SVG counts in points
    FigureCanvasSVG(figure).print_svg(sink, metadata={"Date": None, "Creator": None})
    figure.dpi = dpi
    text = sink.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text).replace(INK, "currentColor")
    spoken = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return re.sub(r'^<svg (.*?)width="[^"]*" height="[^"]*"|^<svg (.*?)', rf'<svg role="img" aria-label="{spoken}" \g<1>\g<2>', text, count=1)
