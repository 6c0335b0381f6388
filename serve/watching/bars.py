"""Two histograms over the same bins as an SVG element, drawn without a plotting library: pairs of bars."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, FOOT, MARGIN = 360, 150, 40, 26  # user units; foot and left margin hold the bins' names
_TRAIN, _LIVE = "#8a94a0", "#2a86c8"
_NAMES = 12  # bins whose names fit below; of more, every n-th


def bars(name: str, bins: Sequence[str], expected: Sequence[float], observed: Sequence[float]) -> str:
    """``expected`` and ``observed``: shares of each bin, 0 to 1. Bins that are empty on both sides at the end are left out."""
    used = [place for place in range(len(bins)) if expected[place] or observed[place]]
    top, step = max([*expected, *observed, 1e-9]), WIDTH / max(1, len(used))
    parts = []
    for position, place in enumerate(used):
        left, width = position * step, step * 0.4
        title = f"<title>{escape(bins[place])}: training {expected[place]:.1%}, live {observed[place]:.1%}</title>"
        parts.append(
            f"<g>{title}{_bar(left + step * 0.1, width, expected[place] / top, _TRAIN)}{_bar(left + step * 0.5, width, observed[place] / top, _LIVE)}</g>"
        )
        if position % -(-len(used) // _NAMES) == 0:
            parts.append(_label(left + step / 2, bins[place]))
    spoken = f"share of rows by bin of {name}, training data and live traffic; the largest bar is {top:.0%}"
    return f'<svg viewBox="{-MARGIN} 0 {WIDTH + MARGIN} {HEIGHT + FOOT}" role="img" aria-label="{escape(spoken)}">{"".join(parts)}</svg>'


def _bar(left: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{left:.1f}" y="{HEIGHT * (1 - height):.1f}" width="{width:.1f}" height="{HEIGHT * height:.1f}" fill="{colour}"/>'


def _label(middle: float, text: str) -> str:
    short = text if len(text) <= 9 else f"{text[:8]}…"
    place = f'x="{middle:.1f}" y="{HEIGHT + 12}" transform="rotate(-35 {middle:.1f} {HEIGHT + 12})"'
    return f'<text {place} font-size="9" fill="currentColor" text-anchor="end">{escape(short)}</text>'
