"""The admin interface: what operators, scripts and the dashboard ask of a running gateway.

admin       Admin: bound to its address, then serving a `Control`
companion   the same beside a gateway of one process, or of several
site        the server that it is, made of the engine's own parts
api         a request -> its operation -> an answer
dashboard   the page, its style and its modules
operations  the operations: one table that is routed, checked and documented by
lines       an answer that goes on, a line for each value
answers     what they answer, besides what `Control` does  (values)
fields      what they are given: schemas                (values)
inputs      queries and bodies as values                        (pure)
tokens      the token: from the config, or from its file
auth        who may ask what                                    (pure)
types       JSON Schemas of typed dictionaries                  (pure)
openapi     the operations as an OpenAPI document               (pure)
"""

from .admin import Admin
from .companion import administering, administering_workers

__all__ = ["Admin", "administering", "administering_workers"]
