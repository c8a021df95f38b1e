"""A config being served, and the process around it.

serving/     the config on its sockets: services, filters, listeners, and the next config after it
handover/    a new process takes over from this one, with sockets and sessions
workers/     several processes that serve one config

A process:

process      one that serves by itself: limits, the log, and an end whatever happens
eventloop    the event loop of each process, and the exit status that comes of it
signalling   what signals ask of a process that serves
holding      signals that wait until somebody can act on them
stopping     the end of a gateway: its progress, a second signal, and an end whatever happens
descriptors  the limit of open files
announcing   who listens where, and how filters were built: told at the start
systemd      what systemd and a service tell each other    (pure)
notifying    reports to systemd, and the sockets that it has passed

Another config:

reloading    a new config in the place of the one that is served, whoever asks for it
apart        a config read in a process of its own
watching     files that are saved: filters, and configs

What a gateway may be asked, and what it tells:

control      what may be asked of a running gateway: plain values
queries      which sessions a query means      (pure)
controlling  the same of the gateway of this process
tapping      the frames of a session, told as plain values
metrics      what it has done and is doing, as figures for Prometheus
poolfigures  the same of pools and their servers
hooktotals   the same of message hooks, through reloads
tracing      its requests and sessions as spans, where that is asked for
"""
