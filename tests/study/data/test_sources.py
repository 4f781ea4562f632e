"""Where data come from."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from shrinkage.study.data.column_values import read_column
from shrinkage.study.data.generated import make_friedman, make_spiral
from shrinkage.study.data.infer_readings import infer_readings
from shrinkage.study.data.sources import NAMES, read_source
from shrinkage.study.errors import UsageError


@pytest.mark.parametrize("name", NAMES)
def test_every_named_data_set_is_there_without_a_network(name):
    source = read_source(name)
    assert source.target in source.frame.columns
    assert source.frame.notna().all(axis=None)
    assert source.digest == read_source(name).digest


def test_digests_tell_data_apart():
    assert len({read_source(name).digest for name in NAMES}) == len(NAMES)
    frame = pd.DataFrame({"a": [1.0, 2.0], "y": [0, 1]})
    assert read_source(frame).digest == read_source(frame.copy()).digest
    assert read_source(frame).digest != read_source(frame.assign(a=[1.0, 3.0])).digest
    assert read_source(frame).digest != read_source(frame.rename(columns={"a": "b"})).digest
    texts = pd.DataFrame({"a": ["1", "2"]})  # numbers, where categories are levels
    assert read_source(texts).digest != read_source(texts.astype("category")).digest
    assert read_source(texts).digest == read_source(texts.astype(object)).digest


def test_the_spiral_has_three_arms_that_start_near_the_origin():
    frame = make_spiral(rows=300, noise=0.0)
    assert frame["target"].value_counts().to_dict() == {"a": 100, "b": 100, "c": 100}
    radius = np.hypot(frame["x"], frame["y"]).to_numpy().reshape(3, 100)
    np.testing.assert_allclose(radius, np.tile(np.linspace(0, 1, 100), (3, 1)), atol=1e-12)
    pd.testing.assert_frame_equal(make_spiral(), make_spiral())


def test_five_inputs_of_friedman_matter_and_the_others_do_not():
    frame = make_friedman(noise=0.0)
    assert list(frame.columns) == [*(f"x{place}" for place in range(1, 31)), "target"]
    assert len(frame) == 400
    x1, x2, x3, x4, x5 = (frame[f"x{place}"] for place in range(1, 6))
    expected = 10 * np.sin(np.pi * x1 * x2) + 20 * (x3 - 0.5) ** 2 + 10 * x4 + 5 * x5
    np.testing.assert_allclose(frame["target"], expected, rtol=1e-12)
    noise = make_friedman()["target"] - expected
    assert 0.9 < noise.std() < 1.1
    assert read_source("friedman").digest == read_source("friedman").digest


def test_files_of_three_kinds_hold_the_same(tmp_path):
    frame = pd.DataFrame({"x0": [1.5, 2.5, np.nan], "y": [0.5, 1.0, 2.0]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    np.savez(tmp_path / "a.npz", X=frame[["x0"]].to_numpy(), y=frame["y"].to_numpy())
    for suffix in ("csv", "parquet", "npz"):
        source = read_source(str(tmp_path / f"a.{suffix}"))
        readings = infer_readings(source.frame)
        assert list(source.frame.columns) == ["x0", "y"]
        for name in frame:
            np.testing.assert_array_equal(
                read_column(readings[name], source.frame[name]), frame[name]
            )
        assert source.name == f"a.{suffix}"
        assert source.target == ("y" if suffix == "npz" else None)


def test_the_digest_of_a_file_is_of_its_bytes_not_of_its_name(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("a,y\n1,0\n")
    assert (
        read_source(str(tmp_path / "a.csv")).digest == read_source(str(tmp_path / "b.csv")).digest
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "it is empty"),
        ("a.csv", b"a,b\n1\n1,2,3\n", "cannot be read"),
        ("a.csv", b"\xff\xfe\x00", "cannot be read"),
        ("a.parquet", b"hello", "cannot be read"),
        ("a.npz", b"hello", "cannot be read"),
        ("a.npz", b"", "cannot be read"),
        ("a.txt", b"hello", "must end in .csv, .parquet, .npz"),
    ],
)
def test_files_that_cannot_be_read_say_so(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_source(str(tmp_path / name))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros(3)}, "must hold arrays X and y, got a"),
        ({"X": np.zeros((3, 2)), "y": np.zeros(2)}, r"got \(3, 2\) and \(2,\)"),
        ({"X": np.zeros((3, 2, 2)), "y": np.zeros(3)}, r"got \(3, 2, 2\)"),
        ({"X": np.array([{}], dtype=object), "y": np.zeros(1)}, "allow_pickle"),
    ],
)
def test_npz_files_of_another_shape_say_so(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UsageError, match=message):
        read_source(str(tmp_path / "a.npz"))


def test_an_unknown_name_gets_the_nearest_of_names_and_files(tmp_path):
    with pytest.raises(
        UsageError, match="'spirl' is no file and no data set; did you mean 'spiral'"
    ):
        read_source("spirl")
    (tmp_path / "patients.csv").write_text("a,y\n1,0\n")
    with pytest.raises(UsageError, match=r"did you mean '.*patients.csv'"):
        read_source(str(tmp_path / "patient.csv"))


def test_the_cells_of_a_text_file_stay_as_written(tmp_path):
    (tmp_path / "a.csv").write_text("a,y\n01, x\n,1.50\n")
    frame = read_source(str(tmp_path / "a.csv")).frame
    assert frame["a"].tolist() == ["01", ""]
    assert frame["y"].tolist() == ["x", "1.50"]


def test_a_frame_stays_as_it_is_and_loses_nothing_in_silence():
    frame = pd.DataFrame({("a", "b"): [1.0, 2.0], ("y", ""): [0, 1]})
    frame.index = pd.Index(["p", "q"], name="patient")
    source = read_source(frame)
    assert list(source.frame.columns) == ["a_b", "y"]
    assert source.notes == ("the frame's index 'patient' is no column: reset_index() makes it one",)
    assert frame.columns.nlevels == 2
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(UsageError, match="data frame has column 'a' twice"):
        read_source(twice)


def test_cells_without_a_hash_have_a_digest():
    frames = [pd.DataFrame({"a": [[1, 2], [other]], "y": [0, 1]}) for other in (3, 4)]
    assert (
        read_source(frames[0]).digest
        == read_source(frames[0].copy()).digest
        != read_source(frames[1]).digest
    )
    read_source(pd.DataFrame({"a": np.arange(3, dtype=np.longdouble), "y": 1}))


class Foreign:
    """A frame of another library."""

    def to_pandas(self):
        return pd.DataFrame({"a": [1.0, 2.0], "y": [0, 1]})


def test_arrays_and_frames_of_other_libraries():
    assert list(read_source(Foreign()).frame.columns) == ["a", "y"]
    source = read_source((np.eye(3), np.arange(3)))
    assert (list(source.frame.columns), source.target) == (["x0", "x1", "x2", "y"], "y")
    named = pd.DataFrame({"size": [1.0, 2.0]})
    assert list(read_source((named, [[0], [1]])).frame.columns) == ["size", "y"]
    with pytest.raises(UsageError, match=r"got \(3, 3\) and \(2,\)"):
        read_source((np.eye(3), np.arange(2)))
    with pytest.raises(UsageError, match=r"X is a sparse matrix, and .* give X\.toarray\(\)"):
        read_source((csr_array(np.eye(3)), np.arange(3)))
    with pytest.raises(UsageError, match=r"data must be a name, a path, .* got ndarray"):
        read_source(np.eye(3))
