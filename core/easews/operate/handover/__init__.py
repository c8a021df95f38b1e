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
inworker     the same in a worker: batches over a channel that its parent has sent

Where several workers serve, their parents agree on the upgrade, and each worker gives its sessions
to one of the new ones: see `workers.fromworkers` and `workers.toworkers`.
"""
