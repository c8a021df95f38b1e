"""Looks that a built site is whole by itself: `python scripts/check_site.py FOLDER`.

No page may load anything from another host, nor a file of the site's that is not there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: What a browser fetches by itself when it shows a page: attributes of elements.
LOADED = {
    ("img", "src"),
    ("img", "srcset"),
    ("iframe", "src"),
    ("link", "href"),
    ("object", "data"),
    ("script", "src"),
    ("source", "src"),
    ("video", "src"),
}
#: Links that tell of other pages and fetch nothing.
RELATIONS = {"index", "next", "prev", "search", "canonical"}
_in_css = re.compile(r"""(?:url\(|@import)\s*["']?([^"')\s]+)""")


class Loads(HTMLParser):
    """The addresses that one page loads from."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if RELATIONS & {*(dict(attrs).get("rel") or "").split()}:
            return
        found = [value for name, value in attrs if (tag, name) in LOADED and value]
        styles = [value for name, value in attrs if name == "style" and value]
        self.addresses += [*found, *(url for style in styles for url in _in_css.findall(style))]


def faults(folder: Path) -> Iterator[str]:
    """What is wrong with the site in `folder`, a line each."""
    for page in sorted(folder.rglob("*.html")):
        yield from _unreachable(folder, page, Loads(page.read_text("utf-8")).addresses)
    for sheet in sorted(folder.rglob("*.css")):
        yield from _unreachable(folder, sheet, _in_css.findall(sheet.read_text("utf-8")))


def _unreachable(folder: Path, file: Path, addresses: list[str]) -> Iterator[str]:
    for address in addresses:
        parts = urlsplit(address)
        if parts.scheme == "data" or (not parts.path and not parts.netloc):
            continue
        if parts.scheme or parts.netloc:
            yield f"{file.relative_to(folder)} loads {address} from elsewhere"
        elif not (file.parent / unquote(parts.path)).exists():
            yield f"{file.relative_to(folder)} loads {address}, which is not there"


def main(folder: Path) -> None:
    pages = len(list(folder.rglob("*.html")))
    if not pages:
        sys.exit(f"check_site: {folder} has no pages")
    if found := list(faults(folder)):
        sys.exit("\n".join(found))
    print(f"{pages} pages in {folder}, which load nothing from elsewhere")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
