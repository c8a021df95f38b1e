"""WebSocketProxy: relays WebSocket sessions to a pool of backends, seeing every frame.

    proxy      the filter: one handshake with the client, one with a backend
    spec       what its schema cannot say about its config                     (pure)
    handshake  what crosses in the handshakes; origin, extensions              (pure)

    relay      the data plane: every session of the process in one set of descriptors
    batch      its inner loop, in Python and in C (_batch.c); compiled chooses
    splice     large frames from socket to socket

    session    two legs, and what happens to the bytes that they send
    closing    how a session comes to an end
    leg        one side of a session: a socket and what waits for it
    progress   does a peer still take what is sent to it?                      (pure)
    sendqueue  what the kernel knows of that
    frames     walks frame headers: how far may these bytes be forwarded?      (pure)
    lane       the numbers that a walker counts by                             (pure)

    guard      what may end a session besides its peers; looked at by the clock
    life       is the peer still there? pings of our own                       (pure)
    rates      how much a client may send                                      (pure)
    timers     what is due, looked at a few times within each limit            (pure)

    proxy ──opens──▶ session ──given to──▶ relay ──bytes──▶ session ──▶ leg

The relay is a service: there is one in the process, whatever the number of filters.
"""
