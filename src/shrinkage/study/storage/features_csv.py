"""Write features.csv, one row for each input of each chosen method and strength."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

from shrinkage.study.records import FeatureUse
from shrinkage.study.results import Results
from shrinkage.study.storage.atomic_write import write_atomically
from shrinkage.study.summary import rank_features


def write_features_csv(results: Results, path: Path) -> None:
    """Write what the models make of each input, the most important first within a method.

    "kept" is the number of seeds in which the input is used; "coefficient" and
    "coefficient_original" are empty unless the model is linear with one output.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in dataclasses.fields(FeatureUse)]
    writer.writerow([*names[:-1], "coefficient_original"])
    for method, strength in dict.fromkeys((use.method, use.strength) for use in results.features):
        for use in rank_features(results.features_of(method, strength)):
            writer.writerow(dataclasses.astuple(use))
    write_atomically(path, text.getvalue())
