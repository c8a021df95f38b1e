"""Relaying open sessions.

service     all sessions of the process in one set of descriptors
loop        its inner loop, in Python and in C (_loop.c); compiled chooses
splice      large frames from socket to socket

session     two legs, and what happens to the bytes that they send
closing     how a session comes to an end
leg         one side of a session: a socket and what waits for it
frames      walks frame headers: how far may these bytes be forwarded?      (pure)
framestate  the numbers that a walker counts by                             (pure)

watchdog    what may end a session besides its peers; looked at by the clock
heartbeat   is the peer still there? pings of our own                       (pure)
rates       how much a client may send                                      (pure)
timers      what is due, looked at a few times within each limit            (pure)
"""
