"""easews as a program of which another version is installed while it runs.

`python new_program.py FOLDER run ...`: the file `version` in the folder has its version, which it
logs. As long as there is a file that is called after a role and a place, as in "helper start", a
process in that role waits in that place. A file such as
`helper BATCH_PATIENCE` has the seconds that it gives others.

roles   old, helper, new (in the place of the old one)
places  start, ready (before that is said), taken (before that is said)
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from easews.cli.app import main
from easews.operate.handover import link, offering, protocol

folder = Path(sys.argv.pop(1))
if "EASEWS_HELPS" in os.environ:
    role = "helper"
else:
    begins = os.environ.keys() & {"EASEWS_HANDOVER", "EASEWS_HELPERS"}
    role = "new" if begins else "old"


def say(text: str) -> None:
    os.write(2, f"{role} process {os.getpid()}: {text}\n".encode())


def wait_at(place: str) -> None:
    if (file := folder / f"{role} {place}").exists():
        say(f"waits at {place}")
        while file.exists():
            time.sleep(0.01)


def waiting_before(message: Callable[..., Any], place: str) -> Callable[..., Any]:
    def made(*args: Any) -> Any:
        wait_at(place)
        return message(*args)

    return made


say(f"version {(folder / 'version').read_text()}")
wait_at("start")
protocol.ready = waiting_before(protocol.ready, "ready")
protocol.taken = waiting_before(protocol.taken, "taken")
for file in folder.glob(f"{role} *_PATIENCE"):
    patience = file.name.split()[1]
    setattr(link if hasattr(link, patience) else offering, patience, float(file.read_text()))
main()
