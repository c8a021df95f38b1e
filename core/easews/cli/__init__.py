"""The command `easews`.

    app          the commands and their exit status: 0 clean, 1 problems, 2 usage errors
    run          the command that serves a config, and what its line has to be like
    serving      the same with the config read: in one process, or with workers
    diff         the command on what a reload would change
    configs      a config as commands read it, and what is wrong with it
    report       problems and tables as text: aligned and coloured for people, plain for pipes
    progress     what is being done, on a terminal
    excerpt      a problem's line with the spot underlined
    options      what several commands have in common
    kinds        the command that lists the kinds, or one kind's fields
    page         one kind: what it is, and its fields as a table
    plugins      the commands on installed packages of filters
    packages     one of them: as a row, a page, and JSON
    costs        which messages a filter reads, in words
    explain      the command on one request
    asked        the request that the command line describes                    (pure)
    explanation  what becomes of it, as text and as JSON
    schema       the command that prints JSON Schemas
    init         the command that writes a first config
    starter      that config, with its comments                                 (pure)
    new          the command that writes a package with a filter
    newpackage   its files, and which names it may have
    skeleton/    the templates of these files
    doctor/      the command on WebSockets that do not come through
    ctl/         the commands that ask a running gateway
    editors      JSON Schemas for editors, one kind or all

Results go to stdout (for `validate` that is the report), everything else to stderr.
"""

from .app import main

__all__ = ["main"]
