"""The sums of several workers never go down, whatever becomes of a worker."""

from __future__ import annotations

from tests.exposition import Scrape

from easews.observe.metrics.totals import Totals

OWN = b"""# TYPE easews_reloads counter
easews_reloads_total{outcome="reloaded"} 1.0
# EOF
"""


def text(count: int, route: str = "/a") -> bytes:
    """What a worker tells that has opened so many sessions, and has them all open."""
    return f"""# TYPE easews_sessions_opened counter
easews_sessions_opened_total{{route="{route}",server="s"}} {count}.0
# TYPE easews_handshake_duration_seconds histogram
# UNIT easews_handshake_duration_seconds seconds
easews_handshake_duration_seconds_bucket{{le="1.0"}} {count}.0
easews_handshake_duration_seconds_bucket{{le="+Inf"}} {count}.0
easews_handshake_duration_seconds_count {count}.0
easews_handshake_duration_seconds_sum {count}.0
# TYPE easews_sessions_open gauge
easews_sessions_open {count}.0
# TYPE easews_ping_rtt_seconds gaugehistogram
# UNIT easews_ping_rtt_seconds seconds
easews_ping_rtt_seconds_bucket{{le="+Inf"}} {count}.0
easews_ping_rtt_seconds_gcount {count}.0
easews_ping_rtt_seconds_gsum {count}.0
# TYPE easews_process_cpu_seconds counter
# UNIT easews_process_cpu_seconds seconds
easews_process_cpu_seconds_total {count}.0
# EOF
""".encode()


def told(scrape: Scrape) -> tuple[float, float, float, float]:
    """A counter, a histogram, a gauge, and a gauge histogram."""
    counter = scrape.sum("easews_sessions_opened_total")
    histogram = scrape.sum("easews_handshake_duration_seconds_bucket", le="1.0")
    gauges = scrape.sum("easews_sessions_open"), scrape.sum("easews_ping_rtt_seconds_gcount")
    return counter, histogram, *gauges


def test_what_an_ended_worker_has_counted_stays_in_the_sums() -> None:
    totals = Totals()
    assert told(Scrape(totals.merged({(1, 11): text(5), (2, 12): text(7)}, OWN))) == (12,) * 4
    without = Scrape(totals.merged({(2, 12): text(8)}, OWN))
    assert told(without) == (13, 13, 8, 8)
    back = Scrape(totals.merged({(1, 13): text(1), (2, 12): text(8)}, OWN))
    assert told(back) == (14, 14, 9, 9)
    again = Scrape(totals.merged({(1, 13): text(2), (2, 14): text(0)}, OWN))
    assert told(again) == (15, 15, 2, 2)
    assert again.sum("easews_reloads_total") == 1


def test_one_that_does_not_answer_for_a_while_is_counted_once() -> None:
    totals = Totals()
    both = {(1, 11): text(5), (2, 12): text(7)}
    totals.merged(both, OWN)
    assert told(Scrape(totals.merged({(2, 12): text(7)}, OWN)))[0] == 12
    assert told(Scrape(totals.merged(both, OWN)))[0] == 12


def test_what_belongs_to_a_process_ends_with_it() -> None:
    totals = Totals()
    totals.merged({(1, 11): text(5), (2, 12): text(7)}, OWN)
    scrape = Scrape(totals.merged({(1, 13): text(1)}, OWN))
    cpu = scrape.series("easews_process_cpu_seconds_total")
    assert [(labels["worker"], value) for labels, value in cpu] == [("1", 1.0)]


def test_a_route_that_only_an_ended_worker_had_stays() -> None:
    totals = Totals()
    totals.merged({(1, 11): text(5, "/gone"), (2, 12): text(7)}, OWN)
    scrape = Scrape(totals.merged({(1, 13): text(1), (2, 12): text(7)}, OWN))
    assert scrape.sum("easews_sessions_opened_total", route="/gone") == 5
    assert scrape.sum("easews_sessions_opened_total", route="/a") == 8
