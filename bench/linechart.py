"""Line charts as SVG, in the style of the bar charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .charts import STYLE

WIDTH, HEIGHT = 640, 300
LEFT, TOP, BOTTOM = 44, 48, 28
NAMES_WIDTH = 190
#: Colours that can be told apart on light and dark pages, and by those who see fewer of them.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#999999", "#e69f00")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its name, and a value for each step."""

    name: str
    values: Sequence[float]
    dashed: bool = False


def line_chart(
    title: str, unit: str, lines: Sequence[Line], ticks: Sequence[tuple[int, str]], top: float
) -> str:
    """An SVG document. `ticks` are steps with their names, `top` is the highest value shown."""
    steps = max(len(line.values) for line in lines) - 1
    right, floor = WIDTH - NAMES_WIDTH, HEIGHT - BOTTOM

    def x(step: int) -> float:
        return LEFT + (right - LEFT) * step / steps

    def y(value: float) -> float:
        return floor - (floor - TOP) * min(value, top) / top

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img">',
        f"<title>{escape(f'{title}: {unit}')}</title>",
        f"<style>{STYLE}\n.line {{ fill: none; stroke-width: 2; }}</style>",
        f'<text class="title" x="0" y="16">{escape(title)}</text>',
        f'<text class="unit" x="0" y="34">{escape(unit)}</text>',
        f'<path class="line" stroke="#8c959f" d="M{LEFT} {TOP}V{floor}H{right}"/>',
    ]
    for share in (0.0, 0.5, 1.0):
        text = f"{top * share:.0%}"
        parts.append(
            f'<text class="unit" x="{LEFT - 6}" y="{y(top * share) + 4:.0f}" '
            f'text-anchor="end">{text}</text>'
        )
    for step, name in ticks:
        parts.append(
            f'<text class="unit" x="{x(step):.0f}" y="{HEIGHT - 8}" '
            f'text-anchor="middle">{escape(name)}</text>'
        )
    for number, line in enumerate(lines):
        points = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in enumerate(line.values))
        dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
        colour, at = COLOURS[number % len(COLOURS)], TOP + 12 + 22 * number
        parts += [
            f'<polyline class="line" points="{points}" stroke="{colour}"{dashes}/>',
            f'<path class="line" d="M{right + 12} {at - 4}h20" stroke="{colour}"{dashes}/>',
            f'<text x="{right + 38}" y="{at}">{escape(line.name)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
