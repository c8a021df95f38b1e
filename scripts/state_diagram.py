"""Draws `docs/explanation/closing.svg` from the tables of how a session ends.

    python scripts/state_diagram.py

States, arrows and their labels are those of `easews_wsproxy.relay.endstates`; where they stand is
told here. A state or an arrow that has no place is a KeyError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import Any

from easews_wsproxy.relay.endstates import RECEIVING, SENDING, Event, Receiving, Sending

TARGET = Path(__file__).parent.parent / "docs" / "explanation" / "closing.svg"
WIDTH, HEIGHT = 150, 70

#: The upper left corner of each state, and its colour.
BOXES: dict[str, tuple[int, int, str]] = {
    Sending.OPEN: (20, 150, "#cdf2d6"),
    Sending.ANSWERS: (260, 50, "#ffe3b8"),
    Sending.LAST_FRAME: (260, 250, "#ffe3b8"),
    Sending.CLOSED: (480, 150, "#e7dcff"),
    Sending.SHUT: (715, 150, "#ffd3d0"),
    Receiving.OPEN: (20, 440, "#cdf2d6"),
    Receiving.CLOSED: (260, 440, "#ffe3b8"),
    Receiving.DISCARDED: (490, 440, "#e7dcff"),
    Receiving.ENDED: (715, 440, "#ffd3d0"),
}

#: The way of each arrow, and where its label begins and how many characters a line has. Several
#: labels stand above and below the line.
ROUTES: dict[tuple[str, str], tuple[str, int, int, int]] = {
    (Sending.OPEN, Sending.ANSWERS): ("M110 150 V85 H256", 118, 63, 16),
    (Sending.OPEN, Sending.LAST_FRAME): ("M95 220 V285 H256", 103, 303, 20),
    (Sending.OPEN, Sending.CLOSED): ("M170 185 H476", 178, 177, 40),
    (Sending.OPEN, Sending.SHUT): ("M50 150 V16 H830 V146", 60, 32, 40),
    (Sending.ANSWERS, Sending.LAST_FRAME): ("M395 120 V246", 416, 237, 20),
    (Sending.ANSWERS, Sending.CLOSED): ("M410 85 H610 V146", 418, 77, 40),
    (Sending.ANSWERS, Sending.SHUT): ("M335 50 V34 H800 V146", 418, 50, 40),
    (Sending.LAST_FRAME, Sending.CLOSED): ("M410 285 H610 V224", 418, 277, 40),
    (Sending.LAST_FRAME, Sending.SHUT): ("M335 320 V350 H800 V224", 418, 343, 40),
    (Sending.CLOSED, Sending.SHUT): ("M630 185 H711", 634, 161, 12),
    (Receiving.OPEN, Receiving.CLOSED): ("M170 475 H256", 176, 451, 8),
    (Receiving.OPEN, Receiving.DISCARDED): ("M95 440 V414 H565 V436", 178, 431, 40),
    (Receiving.OPEN, Receiving.ENDED): ("M95 510 V546 H800 V514", 178, 540, 40),
    (Receiving.CLOSED, Receiving.DISCARDED): ("M410 475 H486", 414, 435, 10),
    (Receiving.CLOSED, Receiving.ENDED): ("M335 510 V528 H770 V514", 418, 524, 40),
    (Receiving.DISCARDED, Receiving.ENDED): ("M640 475 H711", 646, 435, 7),
}

HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -24 880 584" width="880" height="584"
     font-family="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif" font-size="15">
  <title>How each side of a session comes to its end</title>
  <desc>{}</desc>
  <!-- Made by scripts/state_diagram.py. Filled boxes with dark text, and lines of a middle grey:
       fit for light and dark pages. -->
  <defs>
    <marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"
            orient="auto-start-reverse">
      <path d="M0 0 10 5 0 10z" fill="#7d8590"/>
    </marker>
  </defs>
"""


def draw() -> str:
    """The whole file."""
    tables: list[Mapping[Any, Mapping[Event, Any]]] = [SENDING, RECEIVING]
    parts = [HEAD.format(escape(" ".join(_sentences(tables))))]
    parts += [
        _text(20, -6, "what we still send to a peer", size=13.5, weight=600),
        _text(20, 394, "what the peer still sends", size=13.5, weight=600),
    ]
    arrows = {arrow: events for table in tables for arrow, events in _arrows(table).items()}
    if set(ROUTES) != set(arrows):
        raise KeyError(set(ROUTES) ^ set(arrows))
    for arrow, events in arrows.items():
        parts += _arrow(*ROUTES[arrow], events)
    for table in tables:
        for state in table:
            parts += _box(state)
    return "".join(parts) + "</svg>\n"


def _arrows(table: Mapping[Any, Mapping[Event, Any]]) -> dict[tuple[str, str], list[Event]]:
    """What leads from one state to another."""
    arrows: dict[tuple[str, str], list[Event]] = {}
    for before, row in table.items():
        for event, after in row.items():
            if after is not before:
                arrows.setdefault((before, after), []).append(event)
    return arrows


def _sentences(tables: list[Mapping[Any, Mapping[Event, Any]]]) -> Iterator[str]:
    """The same for who cannot see it."""
    for title, table in zip(
        ("What we still send", "What the peer still sends"), tables, strict=True
    ):
        for (before, after), events in _arrows(table).items():
            causes = " or when ".join(events)
            yield f"{title}: from {_name(before)} to {_name(after)} when {causes}."


def _name(state: Any) -> str:
    return str(state.name).lower().replace("_", " ")


def _arrow(path: str, x: int, y: int, width: int, events: list[Event]) -> Iterator[str]:
    yield (
        f'  <path d="{path}" fill="none" stroke="#7d8590" stroke-width="2"'
        ' marker-end="url(#head)"/>\n'
    )
    lines = [wrap(event, width) for event in events]
    for number, label in enumerate(lines):
        below = 26 if number else 0  # on the other side of the line
        for line in label:
            yield _text(x, y + below, line, size=13)
            y += 16
        y -= 16


def _box(state: Any) -> Iterator[str]:
    x, y, colour = BOXES[state]
    yield (
        f'  <rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{colour}"'
        ' stroke="#00000033"/>\n'
    )
    lines = wrap(state, 23)
    top = y + (28 if len(lines) > 1 else 32)
    middle = x + WIDTH // 2
    yield _text(middle, top, _name(state), colour="#1f2328", anchor="middle", weight=600)
    for number, line in enumerate(lines):
        yield _text(middle, top + 17 + 15 * number, line, 12.5, "#1f2328", "middle")


def _text(
    x: int,
    y: int,
    text: str,
    size: float = 15,
    colour: str = "#7d8590",
    anchor: str = "start",
    weight: int = 400,
) -> str:
    return (
        f'  <text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}" font-size="{size:g}"'
        f' font-weight="{weight}">{escape(text)}</text>\n'
    )


if __name__ == "__main__":
    TARGET.write_text(draw(), "utf-8")
