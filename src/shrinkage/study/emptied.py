"""Models that predict the same for every row, because their weights no longer reach the output."""

from __future__ import annotations

import numpy as np

from shrinkage.study.records import Choice, Record, Results


def is_emptied(results: Results, choice: Choice) -> bool:
    """Whether every seed of a choice ended with a model that predicts the same for every row."""
    own = results.records_of(choice)
    model = str(results.question.get("model", ""))
    return bool(own) and all(predicts_one_value(record, model) for record in own)


def predicts_one_value(record: Record, model: str) -> bool:
    """Whether zeros cut a trained model's outputs off from its inputs.

    In "linear" and "mlp:..." no path of weights other than 0 leads from an input to an output. Of
    other models it is known where all their weights are 0.
    """
    weights = [array for array in record.state.values() if array.ndim >= 2]
    if not weights:
        return False
    if model != "linear" and not model.startswith("mlp:"):
        return not any(array.any() for array in weights)
    reached = np.eye(weights[0].shape[1], dtype=bool)  # (units, inputs): is there a path?
    for array in weights:
        reached = (array != 0) @ reached
    return not reached.any()
