# Sourced by ./run and ./test from the root of the repository: makes .venv from requirements.lock, or re-uses it.
# Python: the first of $PYTHON, python3, python3.13, python3.12, python3.11 that the lock serves.

VENV="$PWD/.venv"
# Packages that build others, and those published as source only (pure Python). Everything else comes as a wheel.
BUILDERS=' setuptools '
SOURCE_ONLY=' bibtexparser connection-pool geometric python-hostlist '

say() { printf '%s\n' "$*" >&2; }

stop() {
    say "error: $*"
    exit 2
}

is_served() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
        if is_served "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    stop "no Python 3.11, 3.12 or 3.13 on PATH; install one (apt install python3 python3-venv) or set PYTHON to it"
}

# What the environment was made from; anything else than this in its stamp means it must be made again.
# Python starts from the environment itself, so that one that no longer starts is noticed.
fingerprint() {
    sha256sum requirements.lock workflow/environment.sh
    printf '%s\n' "$VENV"
    "$VENV/bin/python" -c 'import platform, sys; print(sys.version, platform.machine())'
}

is_current() { [ -f "$VENV/complete" ] && [ "$(fingerprint 2>/dev/null)" = "$(cat "$VENV/complete")" ]; }

make_empty() {
    local python pip
    python=$(find_python) || exit $?
    if [ -e "$VENV" ] && [ ! -f "$VENV/pyvenv.cfg" ] && [ -n "$(ls -A "$VENV")" ]; then
        stop ".venv exists and is not an environment of Python; move it away"
    fi
    say "Setting up .venv with $("$python" -V): 1.5 GB of packages, one to three minutes on a fast line ..."
    rm -rf "$VENV"
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -m venv "$VENV" || stop "$python cannot make an environment; apt install python3-venv"
        pip=("$VENV/bin/python" -m pip)
    elif "$python" -m pip --version >/dev/null 2>&1 && "$python" -m venv --without-pip "$VENV" 2>/dev/null; then
        # Debian without python3-venv: the system's pip installs into the environment.
        pip=("$python" -m pip --python "$VENV/bin/python")
    else
        stop "$python has neither venv nor pip; apt install python3-venv (as root), then call this again"
    fi
    printf '%s\n' "${pip[@]}" >"$VENV/pip"
}

# The entries of a lock ($2), hashes included, whose names stand in $1.
locked() { awk -v names="$1" '/^[^ #]/ { split($1, part, "=="); wanted = index(names, " " part[1] " ") } wanted' "$2"; }

# Everything in a lock ($1). In this order nothing is built in an unlocked environment, and nothing is compiled.
install_locked() {
    local pip
    mapfile -t pip <"$VENV/pip"
    pip+=(--disable-pip-version-check install --require-hashes --no-deps)
    [ -t 2 ] || pip+=(--quiet)
    locked "$BUILDERS" "$1" >"$VENV/builders.lock"
    locked "$SOURCE_ONLY" "$1" >"$VENV/sources.lock"
    {
        "${pip[@]}" --only-binary :all: -r "$VENV/builders.lock" &&
            PIP_USE_PEP517=1 "${pip[@]}" --no-build-isolation -r "$VENV/sources.lock" &&
            "${pip[@]}" --only-binary :all: -r "$1"
    } >&2 || stop "the packages of $1 could not be installed; the reason stands above"
}

# The wheel of tblite wants the system's libgomp, which a minimal Debian lacks: lend it the one of another wheel.
lend_libgomp() {
    local site candidate
    starts() { "$VENV/bin/python" -c 'import tblite.interface' 2>/dev/null; }
    starts && return
    site=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
    for candidate in "$site"/*.libs/libgomp-*.so* "$site"/*/lib/libgomp-*.so*; do
        ln -sf "$candidate" "$site/tblite.libs/libgomp.so.1"
        starts && return
    done
    stop "tblite does not start; apt install libgomp1, then call this again"
}

# The package is installed so that edits of src/ count at once; only new metadata asks for another call of pip.
install_self() {
    [ "$(sha256sum pyproject.toml)" = "$(cat "$VENV/self" 2>/dev/null)" ] && return
    local pip
    mapfile -t pip <"$VENV/pip"
    "${pip[@]}" --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable . >&2 ||
        stop "this package could not be installed into .venv; the reason stands above"
    sha256sum pyproject.toml >"$VENV/self"
}

# One set-up at a time; a second call waits here until the first one closes 9 or ends.
take_turns() {
    exec 9<requirements.lock
    if command -v flock >/dev/null; then flock 9; fi
}

ready_environment() {
    unset PYTHONHOME PYTHONPATH VIRTUAL_ENV
    export PIP_USER=0
    take_turns
    if ! is_current; then
        make_empty
        install_locked requirements.lock
        lend_libgomp
        fingerprint >"$VENV/complete"
    fi
    install_self
    exec 9<&-
    export PATH="$VENV/bin:$PATH"
}
