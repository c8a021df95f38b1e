"""What `scripts/docs` looks for in a built site."""

from __future__ import annotations

from pathlib import Path

import pytest

import check_site

PAGE = '<link rel="stylesheet" href="a.css?v=1"><a href="https://example.org">a link</a>'


@pytest.mark.parametrize(
    ("page", "sheet"),
    [
        ('<script src="https://cdn.example/x.js"></script>', ""),
        ('<img src="//cdn.example/x.png">', ""),
        ('<img src="missing.svg">', ""),
        ('<p style="background: url(https://cdn.example/x.png)">', ""),
        ("", "@import 'https://fonts.example/css';"),
        ("", "p { background: url(http://cdn.example/x.png) }"),
    ],
)
def test_what_a_page_loads_from_elsewhere_is_found(page: str, sheet: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(PAGE + page)
    (tmp_path / "a.css").write_text(sheet)

    assert len(list(check_site.faults(tmp_path))) == 1


def test_a_site_that_is_whole_has_no_faults(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(PAGE + '<img src="data:image/png;base64,AA"><a href="#x">')
    (tmp_path / "a.css").write_text("p { background: url(a.css) }")

    assert not list(check_site.faults(tmp_path))
