"""A model's inputs from columns, as plain data: the same numbers as scikit-learn's."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from shrinkage.study.data.encoding import Encoding, NumberColumn, TextColumn
from shrinkage.study.data.features import MOST_LEVELS
from shrinkage.study.data.sources import Source
from shrinkage.study.data.splits import fit_preprocessing, split_rows
from shrinkage.study.data.table import prepare_table
from shrinkage.study.errors import UsageError
from shrinkage.study.spec import Study


def fit_transformers(train):
    """scikit-learn's transformers that do the same, fitted on the training rows."""
    numbers = [name for name in train if train[name].dtype == float]
    texts = [name for name in train if name not in numbers]
    scaling = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
    )
    levels = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),
        OneHotEncoder(handle_unknown="ignore", max_categories=MOST_LEVELS, sparse_output=False),
    )
    parts = [("numbers", scaling, numbers), ("levels", levels, texts)]
    return ColumnTransformer(parts, sparse_threshold=0).fit(train)


@pytest.fixture
def fitted(cars):
    """The table, scikit-learn's transformers and our encoding, fitted on the same rows."""
    frame = pd.concat([cars] * 3)  # "name" has more levels than columns: the rare share one
    frame["empty"] = [np.nan] * (len(frame) - 1) + [1.0]
    frame["steady"] = 0.1  # whose computed variance is not exactly 0
    table = prepare_table(Source("cars", frame, "mpg", ""), Study())
    rows = split_rows(table, Study(), 0)
    transformers = fit_transformers(table.frame.iloc[rows.train])
    return table, transformers, fit_preprocessing(table, rows).encoding


def test_it_encodes_as_scikit_learns_transformers_do(fitted):
    table, transformers, encoding = fitted
    expected = transformers.transform(table.frame)
    assert encoding.width == expected.shape[1]
    np.testing.assert_allclose(encoding.encode(table.frame), expected, rtol=1e-6, atol=1e-6)
    rows = np.array([5, 3, 3, 0])
    np.testing.assert_array_equal(
        encoding.encode(table.frame, rows), encoding.encode(table.frame.iloc[rows])
    )
    assert any(isinstance(c, TextColumn) and c.others for c in encoding.columns)
    assert table.frame.isna().to_numpy().any()


def test_unknown_levels_and_far_numbers_too(fitted):
    table, transformers, encoding = fitted
    frame = table.frame.copy()
    frame["origin"] = "mars"
    frame["power"] = 1e6
    expected = transformers.transform(frame)
    np.testing.assert_allclose(encoding.encode(frame), expected, rtol=1e-6, atol=1e-6)
    assert not encoding.encode(frame)[:, encoding.slices()["origin"]].any()
    frame["power"] = 1e300
    with pytest.raises(UsageError, match="column 'power' holds a number that is infinite, or"):
        encoding.encode(frame)


def test_it_goes_through_json_unchanged(fitted):
    _, _, encoding = fitted
    assert Encoding.from_json(json.loads(json.dumps(encoding.to_json()))) == encoding


def test_the_inputs_of_a_column_are_next_to_each_other():
    encoding = Encoding(
        (NumberColumn("a", 0.0, 1.0, 2.0), TextColumn("b", ("x", "y"), ("z",))), 0.0, 1.0
    )
    assert encoding.slices() == {"a": slice(0, 1), "b": slice(1, 4)}
    frame = pd.DataFrame({"a": [5.0, np.nan], "b": ["z", np.nan]})
    assert encoding.encode(frame).tolist() == [[2.0, 0.0, 0.0, 1.0], [-0.5, 0.0, 0.0, 0.0]]


def test_missing_is_a_level_where_training_had_empty_cells():
    column = TextColumn("b", ("missing", "x"))
    assert column.encode(np.array([np.nan, "x"], dtype=object)).tolist() == [[1, 0], [0, 1]]
    cells = np.array([np.nan, "x", "new"], dtype=object)
    assert column.find_unknown(cells).tolist() == [False, False, True]
    assert replace(column, levels=("x",)).find_unknown(cells).tolist() == [False, False, True]
