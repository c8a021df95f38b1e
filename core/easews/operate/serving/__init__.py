"""A config being served on sockets that are already bound, and another one after it.

gateway      services, generation and listeners, started and stopped in order
listening    the listeners of the config that is served
generations  the config that is served, and older ones that are still in use
eviction     which sessions may not stay, though the gateway goes on
reload       what a new config changes                     (pure)
changes      the same in words                             (pure)
preparing    what a config needs besides its filters, made in a thread
binding      the listening sockets of a config's servers
drain        when to close each of many sessions           (pure)
draining     the sessions that wait for their Close
moving       sessions on their way from or to another process: who waits for them
renewal      certificates whose files have changed
taskgroups   a task group from which errors of ours come as they are

`Gateway` knows of no process, signal or file: whoever runs one brings them.
"""
