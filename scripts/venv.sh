# Sourced by the scripts beside it, in the project's folder: makes and fills the venv `$venv`.

venv=${venv:-.venv}

say() { printf '%s\n' "$*" >&2; }
fail() { say "$0: $*"; exit 1; }

# Print the first Python that is new enough and can make a venv; PYTHON names one by hand.
find_python() {
    new_enough=
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        new_enough=$candidate
        if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    if [ -n "$new_enough" ]; then
        fail "$new_enough has no venv module; on Debian and Ubuntu: apt-get install python3-venv"
    fi
    fail "no Python 3.11 or newer found${PYTHON:+ (PYTHON is $PYTHON)}; install one, or name it: PYTHON=/path/to/python3 $0"
}

# make_venv: a venv whose pip works. One that was cut short, or whose Python is gone, is redone.
make_venv() {
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return
    python=$(find_python) || exit 1
    say "Making $venv with $("$python" --version) ..."
    "$python" -m venv --clear "$venv" || fail "could not make $venv"
}

# install WHAT EXTRAS [ARGUMENT ...]: the three packages with the root's extras, straight from this
# folder, so that edits count at once, and what else these arguments of pip name. Done again only
# when a pyproject.toml or the folder's place changed.
install() {
    what=$1 extras=$2
    shift 2
    stamp=$venv/.installed-$what
    state="$PWD $extras $* $(cat pyproject.toml plugins/*/pyproject.toml examples/plugins/*/pyproject.toml | cksum)"
    [ "$(cat "$stamp" 2>/dev/null)" = "$state" ] && return
    say "Installing easews and what it needs for the $what into $venv (a minute, the first time) ..."
    "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        -e ".[$extras]" -e ./plugins/wsproxy -e ./plugins/headers "$@" ||
        fail "pip could not install; its message is above"
    printf '%s\n' "$state" >"$stamp"
}
