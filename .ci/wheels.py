"""Whether our wheels hold what they must: python .ci/wheels.py WHEEL ..."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

# What packaging tools leave out silently when a setting is wrong.
WANTED = {
    "easews": [
        "easews/py.typed",
        "easews/cli/skeleton/messages/filter.py.in",
        "easews_command.py",
        "pytest_easews.py",
        "easews/schema/json/common.json",
        "easews/schema/json/Gateway.json",
        "easews/schema/json/HTTPServer.json",
        "easews/schema/json/Pipeline.json",
    ],
    "easews_wsproxy": [
        "easews_wsproxy/py.typed",
        "easews_wsproxy/schemas/WebSocketProxy.json",
    ],
    "easews_httpproxy": [
        "easews_httpproxy/py.typed",
        "easews_httpproxy/schemas/Proxy.json",
    ],
    "easews_headers": [
        "easews_headers/py.typed",
        "easews_headers/schemas/CORSAdaptor.json",
        "easews_headers/schemas/Fallback.json",
        "easews_headers/schemas/Mock.json",
        "easews_headers/schemas/Redirector.json",
        "easews_headers/schemas/RequestAdaptor.json",
        "easews_headers/schemas/ResponseAdaptor.json",
        "easews_headers/schemas/SecurityHeaders.json",
        "easews_headers/schemas/XForwarded.json",
    ],
    "easews_messages": [
        "easews_messages/py.typed",
        "easews_messages/schemas/MessageLogger.json",
        "easews_messages/schemas/MessageRateLimiter.json",
        "easews_messages/schemas/MessageTransform.json",
        "easews_messages/schemas/MessageValidator.json",
    ],
}


def faults(wheel: Path) -> list[str]:
    """What the wheel lacks, and what it holds besides its own package."""
    package = wheel.name.partition("-")[0]
    names = zipfile.ZipFile(wheel).namelist()
    missing = [f"{wheel.name} lacks {name}" for name in WANTED[package] if name not in names]
    strays = [
        f"{wheel.name} holds {name}"
        for name in names
        if not name.startswith((f"{package}/", f"{package}-")) and name not in WANTED[package]
    ]
    return missing + strays


if __name__ == "__main__":
    wheels = [Path(argument) for argument in sys.argv[1:]]
    packages = {wheel.name.partition("-")[0] for wheel in wheels}
    found = [f"no wheel of {package}" for package in WANTED.keys() - packages]
    found += [fault for wheel in wheels for fault in faults(wheel)]
    sys.exit("\n".join(found) or None)
