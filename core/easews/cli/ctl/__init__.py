"""`easews ctl`: what may be asked of a running gateway, over its admin interface.

command     how each command is called; those on the gateway, its pools and its config
sessions    the commands on sessions
options     what their command lines have in common
answers     the gateway that is asked, and its answer, printed
asking      requests to the admin interface, and what is wrong when there is no answer
address     where it listens                                                    (pure)
conditions  which sessions are meant, as options, as a query and as a body      (pure)
views       status, sessions, pools and frames as text                          (pure)
tables      rows that fit the width of a terminal                               (pure)
words       ages, sizes and counts for people                                   (pure)
"""
