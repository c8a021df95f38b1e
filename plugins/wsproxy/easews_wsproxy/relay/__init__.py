"""Relaying open sessions.

service     all sessions of the process in one set of descriptors
loop        its inner loop in Python
compiled    which inner loop is used: the one in C (_batch.c) where it was built
splice      large frames from socket to socket

session     two legs, and what happens to the bytes that they send
closing     how a session comes to an end
leg         one side of a session: a socket and what waits for it
frames      walks frame headers: how far may these bytes be forwarded?      (pure)
framestate  the numbers that a walker counts by                             (pure)
progress    whether a peer still takes what is sent to it                   (pure)
sendqueue   what the kernel knows of that

watchdog    what may end a session besides its peers; looked at by the clock
heartbeat   is the peer still there? pings of our own                       (pure)
rates       how much a client may send                                      (pure)
timers      what is due, looked at a few times within each limit            (pure)
"""
