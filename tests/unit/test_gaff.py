"""Amber's tables: what is read, and which of several entries a molecule takes."""

from __future__ import annotations

import pytest

from solvation.errors import EngineFailed
from solvation.liquids.gaff import read_frcmod, read_parm

PARM = """\
A small force field
c3 12.01         0.878               carbon
hc 1.008         0.135               hydrogen

hn  ho
c3-c3  228.89   1.5350         2021
c3-hc  345.25   1.0962         2021

c3-c3-hc   43.27      109.68                2021

X -c3-c3-X    9    1.400         0.000           3.000      wildcard
hc-c3-c3-hc   1    0.120         0.000           3.000      exact
os-c3-c3-os   1    0.500         0.000          -3.000      three waves
os-c3-c3-os   1    0.900         0.000          -2.000
os-c3-c3-os   1    0.180       180.000           1.000

X -X -c -o          10.5         180.          2.           general
X -o -c -o          1.1          180.          2.           special

  hw  ow  0000.     0000.                                4.  flag for fast water


MOD4      RE
  c3          1.9069  0.1078
  hc          1.4593  0.0208

END
c9          9.9     9.9
"""
FRCMOD = """\
Remark line goes here
MASS

BOND
c3-hc  300.00   1.100       same as x, penalty score=  1.5

ANGLE

DIHE
os-c3-c3-os   1    0.700       180.000          -3.000      same as y
os-c3-c3-os   1    0.610       180.000           1.000      same as y, penalty score= 12.0

IMPROPER
o -os-c -os         1.1          180.0         2.0          Same as X -o -c -o , penalty score= 86.2 (general))

NONBON
  B           1.8606  0.0988             same as c2
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "small.dat"
    path.write_text(PARM)
    return read_parm(path)


def test_every_section_is_read_and_nothing_behind_the_end(table):
    assert table.bond(("hc", "c3")) == (345.25, 1.0962)
    assert table.angle(("hc", "c3", "c3")) == (43.27, 109.68)
    assert table.sphere("c3") == (1.9069, 0.1078)
    assert set(table.spheres) == {("c3",), ("hc",)}


def test_an_exact_torsion_comes_before_a_wildcard_which_is_shared_among_its_paths(table):
    assert table.torsion(("hc", "c3", "c3", "hc")) == ((3, 0.0, 0.12),)
    assert table.torsion(("c3", "c3", "c3", "hc")) == ((3, 0.0, 1.4 / 9),)
    assert table.torsion(("os", "c3", "c3", "os")) == ((3, 0.0, 0.5), (2, 0.0, 0.9), (1, 180.0, 0.18))


def test_an_improper_with_fewer_wildcards_comes_first_and_names_its_last_atom(table):
    order, wave = table.improper("c", ("os", "o", "os"))
    assert wave == (2, 180.0, 10.5)
    assert order[2] == 1
    assert table.improper("c", ("o", "c3", "o"))[1] == (2, 180.0, 1.1)
    assert table.improper("n", ("c3", "c3", "hn")) is None


def test_additions_replace_whole_terms_and_keep_their_penalties(table):
    both = table.under(read_frcmod(FRCMOD))
    assert both.bond(("c3", "hc")) == (300.0, 1.1)
    assert both.bond(("c3", "c3")) == (228.89, 1.535)
    assert both.torsion(("os", "c3", "c3", "os")) == ((3, 180.0, 0.7), (1, 180.0, 0.61))
    assert both.improper("c", ("os", "o", "os"))[1] == (2, 180.0, 1.1)
    assert both.sphere("B") == (1.8606, 0.0988)
    assert both.penalties == {"c3-hc": 1.5, "os-c3-c3-os": 12.0, "o-os-c-os": 86.2}


def test_a_missing_term_is_named(table):
    with pytest.raises(EngineFailed, match="no angle os-c3-os"):
        table.angle(("os", "c3", "os"))
    with pytest.raises(EngineFailed, match="no analogy for 'B -B"):
        read_frcmod("Remark\nBOND\nB -B    0.00   0.000       ATTN, need revision\n\n")
