"""Write features.csv, one row for each input of each chosen method and strength."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from shrinkage.study.records import FeatureUse
from shrinkage.study.results import Results
from shrinkage.study.storage.atomic_write import write_rows
from shrinkage.study.summary import rank_features


def write_features_csv(results: Results, path: Path) -> None:
    """Write how the models use each input, the most important first within a method.

    "kept" is the number of seeds in which the input is used; "coefficient" and
    "coefficient_original" are empty unless the model is linear with one output.
    """
    names = [field.name for field in dataclasses.fields(FeatureUse)]
    rows: list[Sequence[object]] = [(*names[:-1], "coefficient_original")]
    for method, strength in dict.fromkeys((use.method, use.strength) for use in results.features):
        rows += map(dataclasses.astuple, rank_features(results.features_of(method, strength)))
    write_rows(path, rows)
