"""WebSocketProxy: relays WebSocket sessions to a pool of backends, seeing every frame.

    proxy      the filter: one handshake with the client, one with a backend
    settings   what belongs to one pool                                        (pure)
    spec       what its schema cannot say about its config                     (pure)
    handshake  what crosses in the handshakes; origin, extensions              (pure)
    messages   whole messages out of frames, and into frames                   (pure)
    relay      the data plane: every open session of the process
    plugin     the entry point: which filters this package brings

    proxy ──opens──▶ session ──given to──▶ relay ──bytes──▶ session ──▶ leg

The relay is a service: there is one in the process, whatever the number of filters.
"""
