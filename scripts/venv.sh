# Sourced by the scripts beside it, in the project's folder: makes and fills the venv `$venv`.

venv=${venv:-.venv}

say() { printf '%s\n' "$*" >&2; }
fail() { say "$0: $*"; exit 1; }

# version PYTHON: its whole version, as in 3.11.2; nothing where there is none.
version() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null; }

# Whether easews supports it. No patch release is excepted.
SUPPORTED='Python 3.11.0 or newer, no alpha, beta or release candidate'
is_supported() {
    "$1" -c 'from sys import exit, version_info as version
exit(version < (3, 11) or version.releaselevel != "final")' 2>/dev/null
}

can_make_venv() { "$1" -c 'import venv, ensurepip' 2>/dev/null; }

# Print the first Python that is supported and can make a venv; PYTHON names one by hand.
find_python() {
    without_venv= found=
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        number=$(version "$candidate") || continue
        if ! is_supported "$candidate"; then
            found="${found:+$found, }$candidate is $number"
        elif ! can_make_venv "$candidate"; then
            without_venv="$candidate ($number)"
        else
            command -v "$candidate"
            return
        fi
    done
    if [ -n "$without_venv" ]; then
        fail "$without_venv has no venv module; on Debian and Ubuntu: apt-get install python3-venv"
    fi
    fail "needs $SUPPORTED, but ${found:-none is here${PYTHON:+ (PYTHON is $PYTHON)}}. Install one, or name it: PYTHON=/path/to/python3 $0"
}

# make_venv: a venv whose pip works. One that was cut short, or whose Python is gone or is not
# supported, is redone.
make_venv() {
    is_supported "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return
    python=$(find_python) || exit 1
    say "Making $venv with $("$python" --version) ..."
    "$python" -m venv --clear "$venv" || fail "could not make $venv"
}

# install WHAT EXTRAS [ARGUMENT ...]: the packages with the root's extras, straight from this
# folder, so that edits count at once, and what else these arguments of pip name. Done again only
# when a pyproject.toml, what is compiled, or the folder's place changed.
install() {
    what=$1 extras=$2
    shift 2
    stamp=$venv/.installed-$what
    state="$PWD $extras $* $(cat pyproject.toml plugins/*/pyproject.toml plugins/*/setup.py \
        plugins/*/*/*/*.[ch] examples/plugins/*/pyproject.toml 2>/dev/null | cksum)"
    [ "$(cat "$stamp" 2>/dev/null)" = "$state" ] && return
    say "Installing easews and what it needs for the $what into $venv (a minute, the first time) ..."
    "$venv/bin/python" -m pip install --quiet --no-input --disable-pip-version-check \
        -e ".[$extras]" -e ./plugins/wsproxy -e ./plugins/headers -e ./plugins/httpproxy -e ./plugins/messages "$@" ||
        fail "pip could not install; its message is above"
    printf '%s\n' "$state" >"$stamp"
}

# The venv that scripts/test runs all in.
install_tests() { install tests demo,deploy,test,trio,uvloop; }
