"""easews-headers: filters that change headers, and filters that answer by themselves.

    plugin           the entry point: which filters this package brings
    corsadaptor      CORSAdaptor: which pages of other sites may use what is behind it
    fallback         Fallback: an answer for when others have failed
    fixed            an answer that a config has in full
    mock             Mock: answers for some requests, without a backend
    redirector       Redirector: sends clients elsewhere
    requestadaptor   RequestAdaptor: method, path, host and headers of a request
    responseadaptor  ResponseAdaptor: headers of the answer
    securityheaders  SecurityHeaders: what tells browsers to be careful
    xforwarded       XForwarded: what the backend is told about the client
    schemas/         the schemas of their configs

The rules are part of the engine (`easews.HeaderChanges`, `easews.Template`,
`easews.ForwardedPolicy`), so that other filters can use them, too.
"""
