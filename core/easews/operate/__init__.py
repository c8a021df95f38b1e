"""A config being served, and the process around it.

gateway      services, generation and listeners, started and stopped in order
generations  the config that is served, and older ones that are still in use
eviction     which sessions may not stay, though the gateway goes on
preparing    what a config needs besides its filters, made in a thread
binding      the listening sockets of a config's servers
taskgroups   a task group from which errors of ours come as they are
reload       what a new config changes                     (pure)
changes      the same in words                             (pure)
drain        when to close each of many sessions           (pure)
draining     the sessions that wait for their Close
moving       sessions on their way from or to another process: who waits for them
handover/    a new process takes over from this one
holding      signals that wait until somebody can act on them
stopping     the end of a gateway: its progress, a second signal, and an end whatever happens
apart        a config read in a process of its own
reloading    a new config in the place of the one that is served, whoever asks for it
control      what may be asked of a running gateway: plain values
queries      which sessions a query means      (pure)
controlling  the same of the gateway of this process
tapping      the frames of a session, told as plain values
watching     files that are saved: filters, and configs
metrics      what it has done and is doing, as figures for Prometheus
poolfigures  the same of pools and their servers
hooktotals   the same of message hooks, through reloads
tracing      its requests and sessions as spans, where that is asked for
renewal      certificates whose files have changed
announcing   who listens where, and how filters were built: told at the start
descriptors  the limit of open files
supervision  which worker processes are to be started, and when   (pure)
lifesigns    signs of life of a worker, and its end when it gives none
parent       the process that starts workers: sockets, signals, exit status
processes    the processes of several workers: started, started again, waited for
replacing    a worker's process replaced on purpose, with its sessions
workers      several workers that serve one config, and another one after it
rolling      a new config on its way from worker to worker
ending       their end: told to stop, and ended if they do not
workerprocess  one of them, as the process has it that started it
fanout       what is asked of a gateway, asked of all workers
merging      their answers as one      (pure)
worker       the same as a program
offer        a config with its sockets on the way to them
dividing     what each of them gets of the config's limits      (pure)
calls        what one process asks another, and the answers
cores        how many cores there are
systemd      what systemd and a service tell each other    (pure)
notifying    reports to systemd, and the sockets that it has passed
signalling   what signals ask of a process that serves
eventloop    the event loop of each process, and the exit status that comes of it
process      one that serves by itself: limits, the log, and an end whatever happens
"""
