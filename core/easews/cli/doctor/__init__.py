"""`easews doctor`: what keeps a WebSocket from coming through, by whom, and what to change there.

    command      the command, and what its line has to be like
    options      its options
    examination  all hops one after the other
    probes       the battery at one hop: GET, handshakes, a session, an idle one
    talk         one connection: a request and its answer, then frames
    wires        addresses, TCP, TLS and its certificate
    report       what was seen and found, as text and as JSON            (pure)
    hops         all findings, and at which hop something gets lost      (pure)
    refusals     rules on handshakes that open no session                (pure)
    statuses     those on the status of the answer                       (pure)
    unanswered   those on no answer                                      (pure)
    refusal      what these rules see                                    (pure)
    opened       rules on handshakes and sessions that work              (pure)
    idling       rules on sessions without traffic                       (pure)
    connecting   rules on names, addresses and TLS                       (pure)
    findings     what a rule finds                                       (pure)
    remedies     which setting of which product to change                (pure)
    sayings      what servers say of a handshake that lost something     (pure)
    products     which product has answered                              (pure)
    handshakes   whether an answer opens a session                       (pure)
    asking       what is sent: the variants of a handshake               (pure)
    seen         what the probes have seen, as values                    (pure)

The rules know products and not connections: a new one needs an entry in a table, and a test of it.
"""
