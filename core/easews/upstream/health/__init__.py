"""Which servers of a pool are well.

rules         active checks, ejection, panic and slow start, for one server or a few (pure)
breaker       a circuit breaker for one server (pure)
checks        what a check sends, and which answers pass (pure)
configured    what a pool's spec says of health, as rules (pure)
states        how a server is, for people to read (pure)
availability  which members of a pool may be chosen at present (pure)
probes        one check of a server
checking      Checking: the servers of a pool are checked
"""
