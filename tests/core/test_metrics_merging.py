"""The figures of several workers as one text."""

from __future__ import annotations

import pytest
from tests.core.test_metrics import Busy, at, measured
from tests.exposition import Scrape

from easews import Traffic
from easews.observe.metrics.merging import merged


async def worker(sessions: int, rtt: float) -> bytes:
    """The text of one that has `sessions` open sessions, and one that is over."""
    async with measured() as (metrics, running):
        opened = [Busy(str(number), handshake=0.02, held=7) for number in range(sessions + 1)]
        for session in opened:
            session.sent = Traffic(10, 100, rtt), Traffic()
            running.sessions.opened(session)
        running.sessions.ended(opened[0], opened[0].ending())
        running.gateway.on_request[0](at("/ws"), 200, 0.1)
        return await metrics.expose()


async def test_what_adds_up_is_added_up() -> None:
    figures = Scrape(merged([await worker(2, 0.001), await worker(3, 0.2)]))
    assert figures.sum("easews_sessions_open") == 5
    assert figures.sum("easews_session_held_bytes") == 35
    assert figures.sum("easews_session_messages_total", sender="client") == 70
    assert figures.sum("easews_handshake_duration_seconds_count") == 7
    assert figures.sum("easews_ping_rtt_seconds_bucket", le="0.001", side="client") == 2
    assert figures.sum("easews_ping_rtt_seconds_gcount", side="client") == 5


async def test_what_is_a_processs_own_has_its_number() -> None:
    texts = [await worker(1, 0.1), await worker(1, 0.1)]
    figures = Scrape(merged(texts, [1, 4]))
    for name in ("easews_process_cpu_seconds_total", "easews_generation"):
        assert [labels["worker"] for labels, _ in figures.series(name)] == ["1", "4"]
    assert Scrape(merged(texts)).series("easews_generation", worker="2")


async def test_what_all_have_in_common_stays_as_it_is() -> None:
    one = await worker(1, 0.1)
    figures = Scrape(merged([one, one]))
    assert figures.sum("easews_reloads_total", outcome="reloaded") == 2
    assert figures.sum("easews_build_info") == 1


async def test_the_text_of_one_is_the_same_but_for_its_number() -> None:
    one = await worker(1, 0.1)
    own, alone = Scrape(one), Scrape(merged([one]))
    assert [family.name for family in alone.families] == [family.name for family in own.families]
    assert alone.sum("easews_session_bytes_total") == own.sum("easews_session_bytes_total")


def test_what_is_no_openmetrics_is_refused() -> None:
    with pytest.raises(ValueError, match="EOF"):
        merged([b"easews_x 1\n"])
