"""The benchmark: what a proxy's relay costs, beside other proxies, in one run.

    loads       what is asked of a proxy, and which figures come of it       (tables)
    subjects    the proxies: where they come from, how each is started       (a table)
    routing, choosing, validate   what parts of easews cost, without any network
    measure     CPU and memory of a process and its children, from /proc
    running     a subject's config for a load, its process, and when it relays
    tools       load generators and backends: built from c/; ports, a certificate
    jsontext    a text that is worth compressing, and its compression     (pure)
    generators  load generators and backends while they run, told what to do
    procedures  how each kind of load is measured
    rounds      each subject under each load, in turn, round after round
    summary     samples of all rounds -> medians, ratios, rows of tables  (pure)
    against     another commit as a subject, built in a venv of its own
    compare     is a row worse than before?                               (pure)
    report      what the terminal shows, and JSON                         (pure)
    charts      bars as SVG                                               (pure)
    linechart   lines as SVG
    simulation  sessions after a scale-out, on a virtual clock            (pure)
    balancing   docs/explanation/balancing.md with its chart, from that
    page        docs/explanation/performance.md with its charts, from the JSON

`bench/run` sets up and starts it; `README.md` says what the figures mean.
"""
