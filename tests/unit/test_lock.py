"""The locks are made from pyproject.toml: every dependency stands in one, within its bounds and with hashes."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# The plugin of a cluster, torch with its gigabytes and other people's tools are installed by who wants them: ./run and
# ./test do without, and `all` does not hold them.
APART = {"slurm", "mlp", "peers"}
LOCKS = {name: (ROOT / name).read_text() for name in ("requirements.lock", "requirements-peers.lock")}


def pins(lock: str) -> list[tuple[str, Version]]:
    """Names and versions; some packages stand there once for each range of Python versions."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", LOCKS[lock], re.MULTILINE)
    return [(canonicalize_name(name), Version(version)) for name, version in found]


def wanted(lock: str) -> list[Requirement]:
    """Dependencies that a lock has to serve, the package's own extras left out."""
    extras = PROJECT["optional-dependencies"]
    is_peers = lock == "requirements-peers.lock"
    groups = [group for name, group in extras.items() if (name in APART) == is_peers]
    if not is_peers:
        groups.append(PROJECT["dependencies"])
    return [item for group in groups for item in map(Requirement, group) if item.name != PROJECT["name"]]


@pytest.mark.parametrize(("lock", "dependency"), [(lock, item) for lock in LOCKS for item in wanted(lock)], ids=str)
def test_a_dependency_is_locked_within_its_bounds(lock, dependency):
    versions = [version for name, version in pins(lock) if name == canonicalize_name(dependency.name)]
    assert versions
    assert all(dependency.specifier.contains(version) for version in versions)


def test_what_stands_apart_is_not_in_all():
    (everything,) = map(Requirement, PROJECT["optional-dependencies"]["all"])
    assert not APART & everything.extras


def test_the_peers_move_nothing_that_the_package_runs_on():
    own, peers = ({name for name, _ in pins(lock)} for lock in LOCKS)
    assert not own & peers


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_address(lock):
    entries = re.split(r"\n(?=[A-Za-z0-9])", LOCKS[lock].strip())
    assert len(entries) == len(pins(lock))
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in LOCKS[lock]
