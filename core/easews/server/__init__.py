"""HTTPServer: from a listening socket to a pipeline, and the answer back.

listener    bind -> accept -> a task for each connection
connection  request after request: reader -> exchange -> writer; or handed over
site        what is served: a router in front of a generation's pipelines
router      which path is responsible, and the target that is sent on    (pure)
address     who the client is, behind proxies                            (pure)
"""

from .listener import Listener, bind
from .site import RequestIds, Site
from .watch import ClientWatch

__all__ = ["ClientWatch", "Listener", "RequestIds", "Site", "bind"]
