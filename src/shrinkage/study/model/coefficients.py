"""The coefficients of a linear model, on the standardized and on the original scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from shrinkage.study.data.encoding import Encoding, NumberColumn
from shrinkage.study.model.network import State, dense_layers


class Coefficient(TypedDict):
    """One weight of a linear model."""

    feature: str  # the column; "intercept" in the last rows
    level: str  # of a text column; "" for numbers
    output: str  # the class whose logit it adds to; "" for a number
    coefficient: float  # per standard deviation of the column, in those of the target
    original: float  # per unit of the column, in units of the target or of the logit


def tabulate_coefficients(
    state: State, encoding: Encoding, classes: Sequence[str]
) -> list[Coefficient]:
    """A row for each input, level and output of a linear model, and its intercepts.

    With x = mean + scale·z and ŷ = center + s·(b + Σ w·z), the coefficient on the original scale
    is s·w/scale, and the intercept center + s·(b − Σ w·mean/scale). Levels are 0 or 1 on both.
    """
    ((weight, bias),) = dense_layers(state)
    outputs = [""] if not classes else classes[1:] if len(classes) == 2 else classes
    rows: list[Coefficient] = []
    intercepts: list[Coefficient] = []
    for index, output in enumerate(outputs):
        shift = 0.0
        for column, inside in zip(encoding.columns, encoding.slices().values(), strict=True):
            values = weight[index, inside].astype(np.float64)
            if isinstance(column, NumberColumn):
                levels, originals = [""], encoding.scale * values / column.scale
                shift += float(values[0]) * column.mean / column.scale
            else:
                others = ["(others)"] if column.others else []
                levels, originals = [*column.levels, *others], encoding.scale * values
            rows += [
                Coefficient(
                    feature=column.name,
                    level=level,
                    output=output,
                    coefficient=float(value),
                    original=float(original),
                )
                for level, value, original in zip(levels, values, originals, strict=True)
            ]
        offset = float(bias[index])
        intercepts.append(
            Coefficient(
                feature="intercept",
                level="",
                output=output,
                coefficient=offset,
                original=encoding.center + encoding.scale * (offset - shift),
            )
        )
    return rows + intercepts
