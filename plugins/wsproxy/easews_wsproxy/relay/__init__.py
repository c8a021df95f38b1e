"""Relaying open sessions. Each module imports only those that stand below it.

service      all sessions of the process in one set of descriptors
isolation    a fault in one session ends that session only                            (pure)
transit      sessions that are on their way to another process, and their connections
packing      a session as plain data, and made of it again                            (pure)
receiving    receives what the loop has reported
incoming     what a session does with what a leg has sent                             (pure)
session      two legs, as the engine and filters see them                             (pure)
lifecycle    a session from its beginning to its end, and what is due in it           (pure)
closing      how Closes and connections follow each other at the end                  (pure)
forwarding   what happens to the bytes that a leg sends                               (pure)
hookrunner   what filters are told of a session, and the tasks that wait for them
watchdog     what may end a session besides its peers; decides when the clock asks    (pure)
insertion    messages that filters send by themselves, in between the others          (pure)
interest     what to wait for of a leg, and how much to read of it                    (pure)
leg          one side of a session: a socket and what waits for it
lane         what a leg knows of whatever reads its messages

heartbeat    is the peer still there? pings of our own                                (pure)
frames       walks frame headers: how far may these bytes be forwarded?               (pure)
heldbytes    what is held for slow readers, all sessions together
compiled     chooses the inner loop and masking: in C (_loop.c), or in Python
loop         the inner loop in Python: descriptors, and what is ready
framestate   the numbers that a walker counts by                                      (pure)
masking      masks payloads, and unmasks them                                         (pure)

endstates    how far each side has come to its end, as tables                         (pure)
parking      what stands for a connection that is on its way to another process       (pure)
progress     does a peer still take what is sent to it?                               (pure)
rates        how much a client may send                                               (pure)
timers       what is due, looked at a few times within each limit                     (pure)
sizes        how many bytes are read and held at once                                 (pure)
sendqueue    what the kernel knows of what a peer has taken
deadpeer     the kernel's own means of finding a dead peer
tap          the frames in what a leg sends, for taps                                 (pure)
splice       large frames from socket to socket
"""
