"""Bar charts as SVG, by hand: they need no library, and fit light and dark pages alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 640
NAME_WIDTH = 96
VALUE_WIDTH = 96
BAR_HEIGHT = 18
ROW_HEIGHT = 26
TOP = 48

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.unit, .spread { fill: #59636e; stroke: #59636e; }
.unit { stroke: none; }
.bar { fill: #8c959f; }
.ours { fill: #0969da; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .unit, .spread { fill: #9198a1; stroke: #9198a1; }
  .bar { fill: #656c76; }
  .ours { fill: #4493f8; }
}"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its value as a number and in writing, and the least and most of all rounds."""

    name: str
    value: float
    label: str
    least: float
    most: float
    ours: bool = False


def bar_chart(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """An SVG document: horizontal bars from zero, with the spread as a line on each."""
    height = TOP + ROW_HEIGHT * len(bars) + 8
    longest = max(bar.most for bar in bars)
    scale = (WIDTH - NAME_WIDTH - VALUE_WIDTH) / longest if longest else 0.0
    spoken = "; ".join(f"{bar.name} {bar.label}" for bar in bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img">',
        f"<title>{escape(f'{title}: {unit}. {spoken}')}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="0" y="16">{escape(title)}</text>',
        f'<text class="unit" x="0" y="34">{escape(unit)}</text>',
        *(_row(bar, TOP + ROW_HEIGHT * number, scale) for number, bar in enumerate(bars)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _row(bar: Bar, top: int, scale: float) -> str:
    middle = top + BAR_HEIGHT / 2
    text = middle + 4.5
    start, end = (NAME_WIDTH + value * scale for value in (bar.least, bar.most))
    kind = "bar ours" if bar.ours else "bar"
    return "\n".join(
        [
            f'<text x="0" y="{text}">{escape(bar.name)}</text>',
            f'<rect class="{kind}" x="{NAME_WIDTH}" y="{top}" rx="2" '
            f'width="{bar.value * scale:.1f}" height="{BAR_HEIGHT}"/>',
            f'<line class="spread" x1="{start:.1f}" x2="{end:.1f}" y1="{middle}" y2="{middle}"/>',
            f'<text x="{end + 8:.1f}" y="{text}">{escape(bar.label)}</text>',
        ]
    )
