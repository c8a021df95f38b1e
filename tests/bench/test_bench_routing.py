"""The requests of the routing benchmark: each one goes to the last rule."""

from __future__ import annotations

import pytest
from bench.routing import CASES, no_such_path, request_of

from easews.server.routing import Match, Router


@pytest.mark.parametrize("name", CASES)
def test_the_last_rule_is_responsible(name: str) -> None:
    case = CASES[name](3)
    (*_, last), found = case[0].rules[-1].paths, Router(case[0]).route(request_of(case, 3))
    if CASES[name] is no_such_path:
        assert not isinstance(found, Match)
    else:
        assert isinstance(found, Match)
        assert found.path is last
