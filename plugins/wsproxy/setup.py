"""The compiled inner loop of the relay. Where it cannot be built, the one in Python is used."""

import sys

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "easews_wsproxy.relay._loop",
            ["easews_wsproxy/relay/_loop.c"],
            extra_compile_args=["-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"],
            optional=True,
        )
    ]
    if sys.platform == "linux"  # it is about epoll
    else []
)
