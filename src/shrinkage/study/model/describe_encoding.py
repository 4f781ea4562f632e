"""What scikit-learn's fitted preprocessing does to the columns, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shrinkage.study.data.splits import Preprocessing
from shrinkage.study.model.encoding import Column, Encoding, NumberColumn, TextColumn


def describe_encoding(preprocessing: Preprocessing) -> Encoding:
    """The encoding that scikit-learn's fitted transformers carry out."""
    columns: list[Column] = []
    for kind, pipeline, names in preprocessing.columns.transformers_:
        if kind == "numbers" and len(names):
            columns += _describe_numbers(pipeline, names)
        elif kind == "levels" and len(names):
            columns += _describe_levels(pipeline, names)
    return Encoding(tuple(columns), preprocessing.center, preprocessing.scale)


def _describe_numbers(pipeline: Any, names: Sequence[str]) -> list[Column]:
    imputer, scaler = (step for _, step in pipeline.steps)
    fills = np.nan_to_num(imputer.statistics_)  # a column without any number is filled with 0
    return [
        NumberColumn(name, float(fill), float(mean), float(scale))
        for name, fill, mean, scale in zip(names, fills, scaler.mean_, scaler.scale_, strict=True)
    ]


def _describe_levels(pipeline: Any, names: Sequence[str]) -> list[Column]:
    encoder = pipeline.steps[-1][1]
    columns: list[Column] = []
    for name, levels, others in zip(
        names, encoder.categories_, encoder.infrequent_categories_, strict=True
    ):
        rare = () if others is None else tuple(map(str, others))
        frequent = tuple(level for level in map(str, levels) if level not in rare)
        columns.append(TextColumn(name, frequent, rare))
    return columns
