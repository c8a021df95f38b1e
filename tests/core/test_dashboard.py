"""The files of the dashboard, as the admin interface gives them out."""

from __future__ import annotations

import re
from posixpath import basename

import pytest
from tests.core.test_admin_api import FakeControl

from easews import Headers, Request, Response
from easews.admin.api import Api
from easews.admin.auth import AccessPolicy
from easews.admin.dashboard import pages
from easews.filters import Context

PATHS = [page.path for page in pages()]


async def get(path: str) -> Response:
    request = Request("GET", path, Headers([("Host", "localhost:9901")]))
    door = AccessPolicy(token="0123456789abcdef")
    return await Api(FakeControl(), door, pages()).answer(Context(request, id="r-1"))


async def text_of(path: str) -> str:
    response = await get(path)
    return b"".join([piece async for piece in response.body]).decode()


@pytest.mark.parametrize("path", PATHS)
async def test_a_part_of_the_page_needs_no_token(path: str) -> None:
    response = await get(path)
    assert response.status == 200
    kind = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    wanted = kind.get(path.rpartition(".")[2], "text/html")
    assert response.headers.get("content-type").startswith(wanted)
    assert response.headers.get("x-content-type-options") == "nosniff"


async def test_the_page_may_only_run_its_own_modules() -> None:
    policy = (await get("/")).headers.get_all("content-security-policy")
    assert len(policy) == 1
    rules = dict(rule.split(" ", 1) for rule in policy[0].split("; "))
    assert rules["default-src"] == "'none'"
    assert {rules[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert rules["frame-ancestors"] == "'none'"
    assert rules["trusted-types"] == "'none'"


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_is_asked_of_others_and_all_that_is_referred_to_is_there(path: str) -> None:
    text = (await text_of(path)).replace("http://www.w3.org/", "")  # names, not places
    assert "//" not in re.sub(r"(?m)(^|\s)//.*$", "", text)
    for name in re.findall(r'(?:src|href)="([^"#]+)"|from \'\./([^\']+)\'', text):
        assert f"/dashboard/{basename(''.join(name))}" in PATHS


@pytest.mark.parametrize("path", PATHS)
async def test_no_text_can_become_html_or_run(path: str) -> None:
    text = await text_of(path)
    ways = [r"(inner|outer|insertAdjacent)HTML|document\.write|eval\(|\bFunction\("]
    ways += [r"<[^>]+\son\w+=", r"<[^>]+\sstyle=", r"<script>", r"<style>"] if path == "/" else []
    assert [way for way in ways if re.search(way, text)] == []
