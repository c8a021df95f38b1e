"""easews-httpproxy: sends plain HTTP requests on to servers, and streams their answers back.

    plugin   the entry point: which filters this package brings
    proxy    Proxy, the filter
    settings  what belongs to one pool                                            (pure)
    onward   the request as a server gets it, and the answer as the client does    (pure)
    spec     what its schema cannot say about its config                          (pure)
    schemas/ the schema of its config

Reading and writing HTTP, and the connections that are kept, are the engine's
(`easews.upstream`).
"""
