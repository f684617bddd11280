"""Whatever stands in a study file, a table, a record or an archive: it is read, or refused with a SolvationError."""

import copy
import string
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solvation.archive import lineage, reproduction, unpacking
from solvation.clusters.given_complex import read_complex
from solvation.errors import SolvationError
from solvation.molecule_files import molecule_of_file
from solvation.planning import status
from solvation.study import load_study
from solvation.study.targets import targets
from solvation.tables.energies import BindingRow
from solvation.tidy import read_rows

GOOD = yaml.safe_load("""
name: fuzzed
species: {Li+: , EC: , W: {smiles: O, donors: {O: '[O]'}}, OWN: {file: own.xyz}}
clusters: {A: {composition: {Li+: 1, W: 2}}, B: {composition: {Li+: 1, EC: 1}, denticity: {EC: 1}, levels: [gfn1]}}
levels: {search: gfn2, rank: pbe-d4/def2-svp, energy: [gfn2, pbe-d4/def2-svp@cpcm=40], counterpoise: [gfn2]}
sampling: {starts: 5, fmax_eV_A: 0.1}
thermochemistry: {temperature_K: 300}
trajectories:
  T: {composition: {Li+: 1, W: 5}, level: gfn2, length_ps: 1, equilibration_ps: 0.1}
  OWN: {topology: a.pdb, center: name LI, donors: {O: name O}, box_A: [10, 10, 10]}
analysis: {r_max_A: 4.0, anions: [O]}
published: [{quantity: binding_energy, subject: A, value: -1, unit: eV, source: somebody}]
""")
WORDS = st.sampled_from(
    ["gfn2", "pbe/def2-svp", "Li+", "W", "A", "T", "../up", "a/b", "", "nan", "1e400", "[", "\0", "é", "x" * 300]
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), WORDS)
VALUES = st.recursive(
    SCALARS, lambda one: st.one_of(st.lists(one, max_size=3), st.dictionaries(WORDS, one, max_size=3)), max_leaves=6
)  # fmt: skip
FUZZ = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _places(value, path=()):
    """Every place in a nest of lists and mappings."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _places(item, (*path, key))


@st.composite
def mutated_studies(draw):
    """The good study with up to three places overwritten, removed or added to."""
    data = copy.deepcopy(GOOD)
    for _ in range(draw(st.integers(1, 3))):
        places = [path for path in _places(data) if path]
        if not places:
            break
        *parents, last = draw(st.sampled_from(places))
        inner = data
        for key in parents:
            inner = inner[key]
        action = draw(st.sampled_from(["set", "remove", "add"]))
        if action == "remove":
            del inner[last]
        elif action == "add" and isinstance(inner, dict):
            inner[draw(WORDS)] = draw(VALUES)
        else:
            inner[last] = draw(VALUES)
    return yaml.safe_dump(data, allow_unicode=True)


def refusal(read: Callable[[], object]) -> str | None:
    """What the call is refused with; any other exception is the failure that is looked for."""
    try:
        read()
    except SolvationError as refused:
        return str(refused)
    return None


def load(folder: Path, text: str | bytes) -> None:
    path = folder / "s.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", errors="surrogatepass"))
    reason = refusal(lambda: load_study(path))
    if reason is not None:
        assert "s.yaml" in reason
        return
    study = load_study(path)
    # What is accepted can be planned.
    for target in targets(study):
        for file in target.files:
            assert ".." not in Path(file).parts


@FUZZ
@given(text=mutated_studies())
def test_any_study_is_read_or_refused(tmp_path, text):
    load(tmp_path, text)


@FUZZ
@given(text=st.one_of(st.text(), st.binary(), st.text(alphabet="{}[]:-?!&*#'\"\n aA1,|>%@`")))
def test_any_text_is_no_study(tmp_path, text):
    load(tmp_path, text)


ROW = "A,Li,Li:1,gfn2,relaxed,-1.5,,-1.5,gfn2,s01,W:1,3,1,0,ok,note"
CELLS = st.one_of(SCALARS.map(str), st.text(alphabet=string.printable, max_size=10))


@pytest.fixture
def head(finished) -> str:
    return (finished / "binding.csv").read_text().splitlines()[0]


@FUZZ
@given(
    rows=st.lists(st.lists(CELLS, max_size=18), max_size=4),
    cells=st.dictionaries(st.integers(0, 15), CELLS, max_size=3),
)
def test_any_table_is_read_or_refused(finished, head, rows, cells):
    row = ROW.split(",")
    for place, text in cells.items():
        row[place] = text
    text = "\n".join([head, ",".join(row), *(",".join(one) for one in rows)])
    path = finished / "binding.csv"
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    table = reproduction.TABLES["binding"]
    for read in (
        lambda: read_rows(path, BindingRow),
        lambda: lineage.why("binding Li_W", finished),
        lambda: reproduction._rows("x", reproduction._read(path), table, set(table.tolerances)),
    ):
        assert refusal(read) != ""


@FUZZ
@given(data=st.one_of(st.binary(), st.text().map(str.encode), VALUES.map(lambda value: yaml.safe_dump(value).encode())))
def test_any_record_is_read_or_refused(finished, data):
    (finished / "energies" / "Li_W" / "gfn2.json").write_bytes(data)
    for read in (lambda: lineage.why("Li_W2", finished), lambda: status.status(load_study(Path("small.yaml")))):
        assert "gfn2.json" in (refusal(read) or "gfn2.json")


WATER_XYZ = "3\nwater\nO 0 0 0.119\nH 0 0.763 -0.477\nH 0 -0.763 -0.477\n"
COMPLEX_XYZ = "4\nLi+ on water\nLi 0 0 2.0\n" + WATER_XYZ.split("\n", 2)[2]
WATER_SDF = """water
  hand

  3  2  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.1190 O   0  0
    0.0000    0.7630   -0.4770 H   0  0
    0.0000   -0.7630   -0.4770 H   0  0
  1  2  1  0
  1  3  1  0
M  END
$$$$
"""
WATER_CIF = """data_water
_cell_length_a 10
_cell_length_b 10
_cell_length_c 10
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
O1 O 0.5 0.5 0.5119
H1 H 0.5 0.5763 0.4523
H2 H 0.5 0.4237 0.4523
"""
PIECES = st.one_of(
    st.binary(max_size=8), st.sampled_from([b"", b"\n", b"nan", b"1e400", b"-", b"999999999", b"Xx", b"\0"])
)


@FUZZ
@given(
    kind=st.sampled_from([("xyz", WATER_XYZ), ("sdf", WATER_SDF), ("mol", WATER_SDF), ("cif", WATER_CIF)]),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=3),
)
def test_any_structure_file_is_read_or_refused(tmp_path, kind, edits):
    suffix, text = kind
    path = tmp_path / f"own.{suffix}"
    path.write_bytes(edited(text, edits))
    reason = refusal(lambda: molecule_of_file("species.OWN", path, None))
    assert str(path) in (reason or str(path))


@FUZZ
@given(edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=3))
def test_any_complex_is_read_or_refused(tmp_path, edits):
    path = tmp_path / "complex.xyz"
    path.write_bytes(edited(COMPLEX_XYZ, edits))
    reason = refusal(lambda: read_complex(path))
    assert str(path) in (reason or str(path))


def edited(text, edits):
    """A text with some of its bytes written over."""
    data = text.encode()
    for place, length, piece in edits:
        index = int(place * len(data))
        data = data[:index] + piece + data[index + length :]
    return data


@FUZZ
@given(place=st.floats(0, 1), flipped=st.integers(1, 255), cut=st.booleans())
def test_an_archive_with_one_wrong_byte_is_read_or_refused(finished_archive, tmp_path, place, flipped, cut):
    data = bytearray(finished_archive)
    index = min(int(place * len(data)), len(data) - 1)
    data[index] ^= flipped
    path = tmp_path / "a.zip"
    path.write_bytes(data[:index] if cut else data)
    reason = refusal(lambda: unpacking.check(path))
    assert str(path) in (reason or str(path))
    assert reason or not cut


@pytest.fixture(scope="module")
def finished_archive(finished_once, tmp_path_factory) -> bytes:
    from solvation.archive import crate

    path = tmp_path_factory.mktemp("packed") / "good.zip"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(finished_once)
        crate.export(Path("results/small"), path)
    return path.read_bytes()
