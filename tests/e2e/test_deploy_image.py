"""deploy/Containerfile: its steps work, and what they make serves without any rights."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, config, free_port, proxied
from tests.e2e.image import Builder, BuildError, Stage
from tests.e2e.library import LibraryBackend, connect

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "deploy" / "Containerfile"
ADMIN = "127.0.0.1:9901"
#: What the environment of the image may weigh, in MiB: 87 when this was written.
HEAVIEST = 110

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="overlayfs is Linux's")


@pytest.fixture(scope="session")
def image(image_builder: None) -> Iterator[Stage]:
    memory = Path("/dev/shm")  # which takes half the time of a disk
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Builder(CONTAINERFILE.read_text(), ROOT, Path(folder)).build()


def run(image: Stage, *argv: str) -> str:
    done = subprocess.run(image.command(argv), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_image_serves_as_a_user_without_rights_and_stops_cleanly(
    image: Stage, backend: LibraryBackend
) -> None:
    text = config(free_port(), proxied("/", backend.url))
    (image.changes / "etc" / "easews" / "easews.yaml").write_text(text)
    admin = f"{LOOPBACK}:{free_port()}"
    start = [*image.argv("ENTRYPOINT"), *image.argv("CMD")]
    argv, health = (
        [word.replace(ADMIN, admin) for word in words]
        for words in (start, image.argv("HEALTHCHECK"))
    )
    assert admin in argv
    # The words that Gateway adds are names for the shell.
    shell = ("sh", "-c", f"exec {shlex.join(image.command(argv))}")
    gateway = Gateway(Path("unused"), easews=shell)
    try:
        gateway.wait_until_it_listens()
        with connect(gateway.ws("/")) as client:
            client.send("hello")
            assert client.recv() == "hello"
            run(image, *health)
            ids = Path(f"/proc/{gateway.process.pid}/status").read_text()
            assert "Uid:\t10001\t10001\t10001\t10001" in ids
            assert "CapEff:\t0000000000000000" in ids
            gateway.process.send_signal(getattr(signal, image.settings["STOPSIGNAL"]))
            assert gateway.wait() == 0, gateway.log.all()
        assert backend.ending()[0] == 1001
        with pytest.raises(AssertionError):
            run(image, *health)
    finally:
        gateway.close()


@pytest.mark.slow
def test_the_image_has_the_compiled_relay_and_little_else(image: Stage) -> None:
    run(image, "python", "-c", "import easews_wsproxy.relay._loop, uvloop")
    assert "easews 0.1.0" in run(image, "easews", "--version")
    assert not (image.changes / "src").exists()
    assert not (image.changes / "opt/easews/bin/pip").exists()
    size = run(image, "du", "-sm", "/opt/easews").split()[0]
    assert int(size) <= HEAVIEST


def test_no_image_is_named_by_a_tag_that_moves_without_notice() -> None:
    text = CONTAINERFILE.read_text()
    assert "latest" not in text
    assert 'ENTRYPOINT ["' in text
    assert '\nCMD ["' in text


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ("RUN false", "RUN false: 1"),
        ("COPY tests tests", "COPY tests: it is not there"),
        ("COPY nothing .", "COPY nothing: it is not there"),
        ("ADD core core", "ADD is not understood"),
    ],
)
def test_a_step_that_is_broken_is_noticed(
    image_builder: None, tmp_path: Path, steps: str, fault: str
) -> None:
    with pytest.raises(BuildError, match=fault):
        Builder(f"FROM python:3.13-slim-bookworm\n{steps}", ROOT, tmp_path).build()
