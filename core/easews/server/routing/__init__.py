"""Which path of a server is responsible for a request. Pure.

router      request -> the path that is responsible, or why there is none
hostindex   the rules that hold for a host
pathindex   their entries that may match a path, in written order
entry       one path of the config: what it asks of a request, and the target that is sent on
conditions  what an entry asks of headers and queries
ipfilter    which clients are let in
refusals    several reasons why nothing matched -> the one that the client is told
rewrite     the target that is sent on
prefixes    values by prefix
reasons     why each path matches or does not, for people
"""

from .entry import Match
from .refusals import Refused
from .router import Router

__all__ = ["Match", "Refused", "Router"]
