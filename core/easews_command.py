"""The program `easews`. It imports the rest only once signals can do no harm.

Importing takes some tenths of a second. SIGHUP and SIGUSR2, which ask a gateway for something,
would end the process in that time: they wait until it serves (`easews.operate.holding`).
"""

from __future__ import annotations

import signal
import sys

#: The command that acts on them. To all others they mean what they mean to any program.
_RUN = "run"


def main() -> None:
    """Run the command line of this process and exit."""
    if sys.argv[1:2] == [_RUN]:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP, signal.SIGUSR2))
    from easews.cli import main as command

    command()
