"""easews-headers: filters that decide on headers.

    plugin       the entry point: which filters this package brings
    xforwarded   XForwarded: what the backend is told about the client
    schemas/     what their config looks like

The rules themselves are the engine's (`easews.ForwardedPolicy`), as WebSocketProxy has them, too.
"""
