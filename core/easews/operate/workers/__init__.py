"""Several processes that serve one config on the same sockets.

In the process that starts the others, and serves nothing itself:

parent         sockets, signals, exit status
processes      the processes of the workers: started, started again, waited for
supervision    which are to be started, and when   (pure)
workerprocess  one of them
lifesigns      its signs of life, and its end when it gives none
workers        all that serve one config, and another one after it
rolling        a new config on its way from worker to worker
offer          a config with its sockets on the way to them
replacing      a worker's process replaced on purpose, with its sessions
fromworkers    an upgrade: the workers' sessions go to the new program
toworkers      an upgrade: sessions of the old program come to the workers
ending         their end: told to stop, and ended if they do not
fanout         what is asked of a gateway, asked of all workers
merging        their answers as one      (pure)
cores          how many cores there are

In each worker:

worker         a program that serves what it is sent
dividing       what each of them gets of the config's limits      (pure)

Between them:

calls          what one process asks another, and the answers

An upgrade, over channels that the two parents make for their workers:

    old parent ── `listeners` ──▶ new parent: starts its workers
    old parent ◀── `ready` ── new parent
    old parent ── `sessions`, with one end of a channel ──▶ new parent ── the end ──▶ new worker
               ── the other end ──▶ old worker ── `batch` ──▶ new worker ...
    old parent ── `done` ──▶ new parent
"""
