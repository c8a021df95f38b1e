"""What `scripts/mutants` runs, in a venv that has mutmut.

mutmut wants the packages in one folder `src`, so it works in a copy. Only functions are changed,
not the tables beside them; and no texts for people, which golden files and pages keep.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
COPY = ROOT / ".cache" / "mutants"
EXPLAINED = ROOT / "tests" / "mutants.md"
PACKAGES = {
    "core/easews": "tests/core",
    "plugins/headers/easews_headers": "tests/headers",
    "plugins/httpproxy/easews_httpproxy": "tests/httpproxy",
    "plugins/messages/easews_messages": "tests/messages",
    "plugins/wsproxy/easews_wsproxy": "tests/wsproxy",
}
#: The files that are changed unless others are named, and the tests that have to notice.
RULES = {
    "core/easews/config/shadows.py": ("tests/core/test_shadows.py",),
    "core/easews/http/cookies.py": ("tests/core/test_cookies.py",),
    "core/easews/http/forwarded.py": ("tests/core/test_forwarded.py",),
    "core/easews/http/matching.py": ("tests/core/test_candidates.py",),
    "core/easews/http/origins.py": ("tests/wsproxy/test_origin.py", "tests/wsproxy/test_spec.py"),
    "core/easews/http/hosts.py": ("tests/core/test_rules.py", "tests/core/test_router.py"),
    "core/easews/http/paths.py": ("tests/core/test_router.py",),
    "core/easews/http/queries.py": ("tests/core/test_rules.py",),
    "core/easews/http/rewriting.py": ("tests/core/test_rewriting.py", "tests/core/test_router.py"),
    "core/easews/http/urls.py": ("tests/core/test_formats.py", "tests/core/test_urls.py"),
    "core/easews/net/proxyprotocol.py": ("tests/core/test_proxyprotocol.py",),
    "core/easews/operate/serving/drain.py": ("tests/core/test_reload.py",),
    "core/easews/operate/serving/changes.py": ("tests/core/test_config_changes.py",),
    "core/easews/operate/workers/dividing.py": ("tests/core/test_dividing.py",),
    **{
        f"core/easews/operate/handover/{module}.py": ("tests/core/test_handover_protocol.py",)
        for module in ("plain", "protocol")
    },
    "core/easews/operate/serving/reload.py": ("tests/core/test_reload.py",),
    "core/easews/schema/units.py": ("tests/core/test_units.py",),
    "core/easews/server/address.py": ("tests/core/test_client_address.py",),
    "core/easews/server/clients.py": ("tests/core/test_clients.py",),
    **{
        f"core/easews/server/routing/{module}.py": (
            "tests/core/test_router.py",
            "tests/core/test_rules.py",
        )
        for module in (
            *("conditions", "entry", "hostindex", "ipfilter", "pathindex", "prefixes"),
            *("refusals", "router"),
        )
    },
    "core/easews/upstream/candidates.py": ("tests/core/test_candidates.py",),
    "core/easews/upstream/causes.py": ("tests/core/test_availability.py",),
    "core/easews/upstream/pool.py": (
        "tests/core/test_pool.py",
        "tests/core/test_upstream.py",
        "tests/wsproxy/test_spec.py",
    ),
    "core/easews/upstream/queueing.py": (
        "tests/core/test_pool_states.py",
        "tests/core/test_turns.py",
    ),
    "core/easews/upstream/retries.py": ("tests/core/test_turns.py",),
    **{
        f"core/easews/upstream/balance/{module}.py": ("tests/core/test_balance.py",)
        for module in ("draws", "hashing", "least", "naming", "rotation")
    },
    "core/easews/upstream/balance/rebalancing.py": ("tests/core/test_rebalancing.py",),
    "core/easews/upstream/balance/sticky.py": ("tests/core/test_sticky.py",),
    "core/easews/upstream/balance/tags.py": (
        "tests/core/test_pool.py",
        "tests/wsproxy/test_spec.py",
    ),
    **{
        f"core/easews/upstream/health/{module}.py": ("tests/core/test_availability.py",)
        for module in ("availability", "configured", "states")
    },
    "core/easews/upstream/health/breaker.py": (
        "tests/core/test_availability.py",
        "tests/core/test_breaker.py",
    ),
    "core/easews/upstream/health/checks.py": ("tests/core/test_checks.py",),
    "core/easews/upstream/health/rules.py": (
        "tests/core/test_availability.py",
        "tests/core/test_health.py",
    ),
    "core/easews/upstream/names/records.py": ("tests/core/test_records.py",),
    "core/easews/upstream/names/resolving.py": ("tests/core/test_records.py",),
    "plugins/wsproxy/easews_wsproxy/handshake/extensions.py": ("tests/wsproxy/test_extensions.py",),
    "plugins/wsproxy/easews_wsproxy/handshake/origin.py": ("tests/wsproxy/test_origin.py",),
    "plugins/wsproxy/easews_wsproxy/handshake/rules.py": ("tests/wsproxy/test_handshake.py",),
    "plugins/wsproxy/easews_wsproxy/relay/frames.py": (
        "tests/wsproxy/test_frames.py",
        "tests/wsproxy/test_frames_properties.py",
    ),
    **{
        f"plugins/wsproxy/easews_wsproxy/{module}.py": (
            "tests/wsproxy/test_messages_deflate.py",
            "tests/wsproxy/test_messages_reading.py",
            "tests/wsproxy/test_messages_writing.py",
        )
        for module in ("messages/deflate", "messages/reading", "messages/writing", "relay/masking")
    },
    "plugins/wsproxy/easews_wsproxy/relay/packing.py": tuple(
        f"tests/wsproxy/test_packing.py::test_{name}"  # not the one that takes a minute
        for name in (
            "whatever_a_session_is_like_it_is_the_same_again",
            "a_packed_session_touches_nothing_and_goes_on_when_it_is_resumed",
            "one_that_has_moved_is_not_over_and_leaves_nothing_behind",
            "one_that_is_closing_ends_in_the_process_that_it_has_moved_to",
            "a_session_that_filters_have_notes_of_stays",
            "a_session_that_filters_follow_stays",
            "a_session_with_tls_stays",
        )
    ),
    "plugins/wsproxy/easews_wsproxy/relay/rates.py": ("tests/wsproxy/test_rates.py",),
    "plugins/wsproxy/easews_wsproxy/relay/timers.py": ("tests/wsproxy/test_timers.py",),
}
_change = re.compile(r"^-(?!--)(?P<old>.*)\n\+(?P<new>.*)$", re.MULTILINE)

#: Lines that hold no more than a text for people, or raise one.
_TEXT = r"^\s*raise |^\s*(return |else )?\(?f?\"[^\"]* [^\"]*\"\)?,?$"

Change = tuple[str, str]


def tests_of(file: str) -> tuple[str, ...]:
    """The tests that have to notice a change of `file`; all of its package's for an unknown one."""
    if file in RULES:
        return RULES[file]
    folders = [tests for package, tests in PACKAGES.items() if file.startswith(f"{package}/")]
    if not folders or not (ROOT / file).is_file():
        sys.exit(f"scripts/mutants: {file} is no file of a package of ours")
    return (*folders,)


def in_copy(file: str) -> str:
    """Where the copy has the file."""
    (package,) = [package for package in PACKAGES if file.startswith(f"{package}/")]
    return f"src/{Path(package).name}{file.removeprefix(package)}"


def make_copy(files: Iterable[str]) -> None:
    """The packages and their tests, and what mutmut is to do with them."""
    shutil.rmtree(COPY, ignore_errors=True)
    for package in PACKAGES:
        skip = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(ROOT / package, COPY / "src" / Path(package).name, ignore=skip)
    skip = shutil.ignore_patterns("__pycache__", "node_modules", "third_party", "repo", "bench")
    shutil.copytree(ROOT / "tests", COPY / "tests", ignore=skip)
    tests = sorted({test for file in files for test in tests_of(file)})
    settings: dict[str, dict[str, object]] = {
        "tool.pytest.ini_options": {
            "addopts": ["--import-mode=importlib", "-p", "no:cacheprovider"],
            "anyio_mode": "auto",
            "filterwarnings": ["error"],
            "markers": ["slow: takes seconds"],
            "norecursedirs": [".*"],
            "pythonpath": ["."],
        },
        "tool.mutmut": {
            "source_paths": ["src"],
            "only_mutate": [*map(in_copy, files)],
            "do_not_mutate_patterns": [_TEXT],
            "pytest_add_cli_args": ["-k", "not trio", "--hypothesis-profile=unshrunk"],
            "pytest_add_cli_args_test_selection": tests,
            "timeout_multiplier": 5.0,
            "use_git_change_detection": False,
        },
    }
    lines = [
        f"[{table}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        for table, keys in settings.items()
    ]
    (COPY / "pyproject.toml").write_text("\n".join(lines))


def changes_in(text: str) -> set[Change]:
    """Each line that is exchanged for another, in a diff or in a page with diffs."""
    return {(old.strip(), new.strip()) for old, new in _change.findall(text)}


def survivors() -> Iterator[str]:
    """The diff of each change that no test has noticed. In the copy, after mutmut has run."""
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.stats import status_by_exit_code
    from mutmut.utils.file_utils import walk_mutatable_files

    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, exit_code in data.exit_code_by_key.items():
            if status_by_exit_code[exit_code] in ("survived", "no tests"):
                yield get_diff_for_mutant(name, path=path)


def main(files: list[str]) -> None:
    make_copy(files or [*RULES])
    os.chdir(COPY)
    ended = subprocess.run(
        [sys.executable, "-m", "mutmut", "run"], env={**os.environ, "EASEWS_PURE": "1"}
    )
    if ended.returncode:
        sys.exit(ended.returncode)
    explained = changes_in(EXPLAINED.read_text())
    found = [*survivors()]
    new = [diff for diff in found if not changes_in(diff) or changes_in(diff) - explained]
    print("\n\n".join(new))
    print(f"\nNo test has noticed {len(found)} changes; {len(new)} of them are not explained.")
    sys.exit(bool(new))


if __name__ == "__main__":
    main(sys.argv[1:])
