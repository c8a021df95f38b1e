"""What validating a large config costs: `python -m bench.validate [PATHS]`.

The config has 10,000 paths (or PATHS), and a tenth of that in pipelines of two filters. Shown is
the user CPU time of `easews validate`, the median of five runs.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

RUNS = 5
SERVER = "kind: HTTPServer\nname: s\nport: 8080\nrules:\n- paths:\n"
PATH = "  - {{path: /p{0}, clientMaxBodySize: -1, backend: pipeline-{1}}}\n"
PIPELINE = """\
---
kind: Pipeline
name: pipeline-{0}
filters:
- kind: XForwarded
  name: forwarded
- kind: WebSocketProxy
  name: wsproxy
  pools:
  - servers:
    - url: ws://127.0.0.1:{1}
"""


def config(paths: int) -> Iterator[str]:
    pipelines = max(1, paths // 10)
    yield SERVER
    for number in range(paths):
        yield PATH.format(number, number % pipelines)
    for number in range(pipelines):
        yield PIPELINE.format(number, 10000 + number)


def user_seconds(file: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run([sys.executable, "-m", "easews", "validate", file], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main() -> None:
    paths = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.yaml"
        file.write_text("".join(config(paths)), "utf-8")
        seconds = statistics.median(user_seconds(file) for _ in range(RUNS))
    print(f"{paths} paths: {seconds:.2f} s of user CPU, median of {RUNS}")


if __name__ == "__main__":
    main()
