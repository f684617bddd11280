"""The lock is made from pyproject.toml: every dependency stands in it, at a version the bounds allow, with hashes."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
# Some packages stand there once for each range of Python versions.
PINS = [
    (canonicalize_name(name), Version(version))
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", LOCK, re.MULTILINE)
]
# The plugin of a cluster, and torch with its gigabytes, are installed by who wants them: ./run and ./test do without,
# and `all` does not hold them.
APART = {"slurm", "mlp"}
EXTRAS = [group for name, group in PROJECT["optional-dependencies"].items() if name not in APART]
WANTED = [
    item
    for group in (PROJECT["dependencies"], *EXTRAS)
    for item in map(Requirement, group)
    if item.name != PROJECT["name"]
]


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_a_dependency_is_locked_within_its_bounds(wanted):
    versions = [version for name, version in PINS if name == canonicalize_name(wanted.name)]
    assert versions
    assert all(wanted.specifier.contains(version) for version in versions)


def test_what_stands_apart_is_not_in_all():
    (everything,) = map(Requirement, PROJECT["optional-dependencies"]["all"])
    assert not APART & everything.extras


def test_every_pin_has_hashes_and_no_address():
    pins = re.split(r"\n(?=[A-Za-z0-9])", LOCK.strip())
    assert len(pins) == len(PINS)
    assert all("--hash=sha256:" in pin for pin in pins)
    assert "://" not in LOCK
