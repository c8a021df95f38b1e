"""HTTPServer: from a listening socket to a pipeline, and the answer back.

listener    bind -> accept -> a task for each connection
connection  request after request: reader -> exchange -> writer; or handed over
reader      heads within their limits, bodies as they come
exchange    one request and its answer
writer      Response -> bytes
watch       clients that wait for an answer: what they send, and when they leave
site        what is served: a router in front of a generation's pipelines
routing     which path is responsible, and the target that is sent on    (pure)
fields      what a client may not say in its headers                     (pure)
address     who the client is, behind proxies                            (pure)
"""

from .listener import Listener, bind
from .site import RequestIds, Site
from .watch import ClientWatch

__all__ = ["ClientWatch", "Listener", "RequestIds", "Site", "bind"]
