"""What is counted and measured while a gateway serves, for Prometheus.

catalogue   every metric: its name, kind, labels and meaning          (pure)
histogram   how often values were within which bounds                 (pure)
ways        what is counted for each route of a server                (pure)
sessions    sessions that open and end, and the traffic of open ones  (pure)
requests    requests, and those that were refused, by cause           (pure)
looplag     how late the event loop is
exposition  the figures as OpenMetrics text
merging     the texts of several processes as one
totals      the same again and again: what ended workers have counted stays

The last three import prometheus_client, so only those import them that want metrics.
No client can make a label: see `catalogue`.
"""
