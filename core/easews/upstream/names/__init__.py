"""Servers that DNS knows.

resolving  Resolve: how names are looked up, and when again (pure)
records    which servers follow from the answers (pure)
lookup     look_up(name): one look-up, with its TTL
following  Following: the servers of a pool are those that their names lead to
"""
