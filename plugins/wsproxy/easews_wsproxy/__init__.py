"""WebSocketProxy: relays WebSocket sessions to a pool of backends, seeing every frame.

proxy      the filter: one handshake with the client, one with a backend
spec       what its schema cannot say about its config                     (pure)
handshake  what crosses in the handshakes; origin, extensions              (pure)
frames     walks frame headers: how far may these bytes be forwarded?      (pure)
session    two legs, and how they come to an end
leg        one side of a session: a socket and what waits for it
relay      the data plane: every session of the process in one selector
poller, timers   what the relay waits with

proxy ──opens──▶ session ──given to──▶ relay ──bytes──▶ session ──▶ leg
"""
