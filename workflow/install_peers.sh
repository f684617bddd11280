#!/usr/bin/env bash
# Install what the tests drive or compare with, beside what ./test sets up: free programs from Debian's packages (as root),
# and the Python packages of requirements-peers.lock into .venv (6 GB, most of it torch). The tests of what is missing are
# skipped, with the reason. Exit code 1 where a program could not be installed, 2 where the packages could not.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2
. workflow/environment.sh

# Engines; peers of the analysis; a cluster of one node.
PROGRAMS=(xtb nwchem psi4 cp2k gromacs lammps travis slurm-wlm munge)

install_programs() {
    if ! command -v apt-get >/dev/null; then
        say "no apt-get here; not installed: ${PROGRAMS[*]}"
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        say "not root; to have the programs too: sudo apt-get install --no-install-recommends ${PROGRAMS[*]}"
        return 1
    fi
    local program code=0
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2
    # One by one: a release that lacks one of them has the others.
    for program in "${PROGRAMS[@]}"; do
        apt-get install -qq --yes --no-install-recommends "$program" </dev/null >/dev/null 2>&1 || {
            say "$program could not be installed: apt-get install $program"
            code=1
        }
    done
    return $code
}

ready_environment
take_turns
install_locked requirements-peers.lock
install_programs
