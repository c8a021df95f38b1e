"""easews-headers: filters that set headers.

    plugin       the entry point: which filters this package brings
    xforwarded   XForwarded: what the backend is told about the client
    schemas/     the schemas of their configs

The rules are part of the engine (`easews.ForwardedPolicy`), because WebSocketProxy uses them, too.
"""
