"""The upgrade of a running easews: a new process takes over sockets and sessions from the old one.

    old ── `listeners`, with the listening sockets ──▶ new: loads the config, binds, starts filters
    old ◀── `ready` ── new: accepts; the old process does not any more
    old ── `batch`, 16 sessions with their sockets ──▶ new: makes the same sessions
    old ◀── `taken` ── new: relays them from now on
    ...
    old ── `done` ──▶ new: what is left stays behind, and drains

Whatever happens to the new process before a `taken`, the old one goes on with what it had offered.

protocol     the messages, and what each says of who has which session    (pure)
plain        what the engine knows of a session, as plain data            (pure)
keeping      whether the pid has to stay                                  (pure)
starting     the new process
link         who takes over, as the one who hands over has it
giving       the course of a handover on the side that gives: to its end, or back
offering     the sessions of one process, offered batch after batch
taking       the side of the new process
arriving     the sessions that come to it
adopting     a session made again
inplace      an upgrade that ends in the pid in which it began: a helper serves meanwhile
helpers      the helpers, as processes
told         the signals that are theirs
upgrading    who asks for an upgrade, and what comes of it

Several workers hand over to several others, each over a channel of its own, which their parents
make:

    old parent ── `listeners` ──▶ new parent: starts its workers
    old parent ◀── `ready` ── new parent
    old parent ── `sessions`, with one end of a channel ──▶ new parent ── the end ──▶ new worker
               ── the other end ──▶ old worker ── `batch` ──▶ new worker ...
    old parent ── `done` ──▶ new parent

fromworkers  the old parent
inworker     a worker, on either side
toworkers    the new parent
"""
