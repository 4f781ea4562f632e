"""Programs that use a fitted model: with shrinkage, with torch alone, with scikit-learn."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from shrinkage.study.data.column_reading import name_columns
from shrinkage.study.data.encoding import NumberColumn, TextColumn
from shrinkage.study.data.features import MOST_LEVELS
from shrinkage.study.formatting import pluralize
from shrinkage.study.method import parse_method
from shrinkage.study.model.fitted import MODEL, FittedModel
from shrinkage.study.model.network import dense_layers, is_dense
from shrinkage.study.model.storage import DESCRIPTION, WEIGHTS

NEW = "NEW.csv"  # where the examples read new rows
MOST_NAMES = 3  # of columns in a comment


def write_command(folder: Path) -> str:
    """The command that predicts new rows with the model of a study in `folder`."""
    return f"shrinkage predict {shlex.quote(str(folder))} {NEW} --out predictions.csv"


def write_python(model: FittedModel, folder: Path) -> str:
    """The same in Python: classes and their probabilities, or numbers, and the inputs."""
    names = [_quote(name) for name in model.kept[:MOST_NAMES]]
    names += ["..."] if len(model.kept) > MOST_NAMES else []
    lines = [
        "from shrinkage.study import load_model",
        "",
        f"model = load_model({_quote(folder)})",
        f"predictions = model.predict({_quote(NEW)})  # or a data frame of {', '.join(names)}",
    ]
    if model.task == "classes":
        lines.append(
            f"probabilities = model.predict_proba({_quote(NEW)})  # in the order of model.classes"
        )
    lines.append("print(model.features)  # which inputs it uses, and how much they matter")
    return "\n".join(lines)


def write_torch(model: FittedModel, folder: Path) -> str:
    """The same with torch and without shrinkage; "" for a model from a function of the user's."""
    if not is_dense(model.model):
        return ""
    layers = [weight for weight, _ in dense_layers(model.state)]
    widths = [layers[0].shape[1], *(len(weight) for weight in layers)]
    network = ", nn.ReLU(), ".join(f"nn.Linear({m}, {n})" for m, n in pairwise(widths))
    has_text = any(isinstance(column, TextColumn) for column in model.encoding.columns)
    return "\n".join(
        [
            "import json",
            "",
            "import numpy as np",
            "import pandas as pd",
            "import torch",
            "from safetensors.torch import load_file",
            "from torch import nn",
            "",
            f'with open({_quote(folder / MODEL / DESCRIPTION)}, encoding="utf-8") as file:',
            "    description = json.load(file)",
            'encoding = description["encoding"]',
            *(_TEXT_INPUTS if has_text else _NUMBER_INPUTS),
            f"network = nn.Sequential({network})" if len(layers) > 1 else f"network = {network}",
            f"network.load_state_dict(load_file({_quote(folder / MODEL / WEIGHTS)}))",
            "with torch.no_grad():",
            "    outputs = network(torch.tensor(np.stack(inputs, axis=1), dtype=torch.float32))",
            *_answer_in_torch(model),
        ]
    )


_NUMBER_INPUTS = (
    f'rows = pd.read_csv("{NEW}")',
    "inputs = [",
    '    (rows[column["name"]].astype(float).fillna(column["fill"]) - column["mean"])',
    '    / column["scale"]',
    '    for column in encoding["columns"]',
    "]",
)
_TEXT_INPUTS = (
    'texts = [column["name"] for column in encoding["columns"] if "levels" in column]',
    f'rows = pd.read_csv("{NEW}", dtype=dict.fromkeys(texts, str))',
    "inputs = []",
    'for column in encoding["columns"]:',
    '    values = rows[column["name"]]',
    '    if "levels" in column:  # an input for each level, and one for all rare ones',
    '        values = values.fillna("missing")',
    '        inputs += [values == level for level in column["levels"]]',
    '        inputs += [values.isin(column["others"])] if column["others"] else []',
    "    else:",
    '        values = values.astype(float).fillna(column["fill"])',
    '        inputs.append((values - column["mean"]) / column["scale"])',
)


def _answer_in_torch(model: FittedModel) -> list[str]:
    if model.task == "numbers":
        return ['predictions = encoding["center"] + encoding["scale"] * outputs[:, 0].numpy()']
    labels = 'np.array(description["classes"])'
    if len(model.classes) == 2:
        return [
            f"predictions = {labels}[(outputs[:, 0] > 0).int().numpy()]",
            f"probabilities = torch.sigmoid(outputs[:, 0])  # of {model.classes[1]!r}",
        ]
    return [
        f"predictions = {labels}[outputs.argmax(dim=1).numpy()]",
        "probabilities = outputs.softmax(dim=1)",
    ]


def write_sklearn(model: FittedModel, data: str) -> str:
    """A program that fits the same linear model with scikit-learn to the rows of `data`, a file.

    It is "" where scikit-learn has no such model; `explain_sklearn` says why.
    """
    if model.model != "linear" or explain_sklearn(model):
        return ""
    estimator, expression = _name_estimator(model)
    texts = [column for column in model.encoding.columns if isinstance(column, TextColumn)]
    target = next(reading for reading in model.readings if reading.role == "target")
    named = ", ".join(_quote(column.name) for column in texts)
    dropped = [_quote(r.name) for r in model.readings if r.role != "feature"]
    is_number = model.task == "numbers"
    encoders = "OneHotEncoder, StandardScaler" if texts else "StandardScaler"
    wrapper = "TransformedTargetRegressor, " if is_number else ""
    dtype = ", dtype=dict.fromkeys(texts, str)" if texts else ""
    known = f".dropna(subset=[{_quote(target.name)}])" if target.missing else ""
    lines = [
        "import pandas as pd",
        f"from sklearn.compose import {wrapper}make_column_transformer",
        "from sklearn.impute import SimpleImputer",
        f"from sklearn.linear_model import {estimator}",
        "from sklearn.pipeline import make_pipeline",
        f"from sklearn.preprocessing import {encoders}",
        "",
        f"texts = [{named}]" if texts else "",
        f"rows = pd.read_csv({_quote(data)}{dtype}){known}",
        f"numbers = rows.columns.drop([{', '.join(dropped)}{', *texts' if texts else ''}])",
        *_write_encoder(model, texts),
        f"estimator = {expression}",
    ]
    if is_number:
        lines += [
            "pipeline = make_pipeline(encode, estimator)",
            "model = TransformedTargetRegressor(pipeline, transformer=StandardScaler())",
        ]
    else:
        lines.append("model = make_pipeline(encode, estimator)")
    lines += [
        f"model.fit(rows, rows[{_quote(target.name)}])",
        f"predictions = model.predict(pd.read_csv({_quote(NEW)}{dtype}))",
    ]
    return "\n".join(line for index, line in enumerate(lines) if line or index == 6)


def _write_encoder(model: FittedModel, texts: Sequence[TextColumn]) -> list[str]:
    lines = ["encode = make_column_transformer("]
    if any(isinstance(column, NumberColumn) for column in model.encoding.columns):
        scaled = 'make_pipeline(SimpleImputer(strategy="median"), StandardScaler())'
        lines.append(f"    ({scaled}, numbers),")
    if texts:
        most = f", max_categories={MOST_LEVELS}" if any(c.others for c in texts) else ""
        lines += [
            "    (",
            "        make_pipeline(",
            '            SimpleImputer(strategy="constant", fill_value="missing"),',
            f'            OneHotEncoder(handle_unknown="ignore", sparse_output=False{most}),',
            "        ),",
            "        texts,",
            "    ),",
        ]
    return [*lines, ")"]


def _name_estimator(model: FittedModel) -> tuple[str, str]:
    """The class of scikit-learn's and the expression that makes it.

    The study minimizes the mean loss + a·Σ|w| + b·Σw². With n rows, ½ of the mean squared error
    is 1/(2n) of the squares that Lasso and ElasticNet add up to, and Ridge adds up all of them:
    its alpha is 2·n·b. ElasticNet has alpha·l1_ratio = a and ½·alpha·(1 − l1_ratio) = b, and
    LogisticRegression the same with alpha = 1/(n·C).
    """
    absolute, square, _ = _split_penalty(model)
    alpha = absolute + 2 * square
    ratio = f"{absolute / alpha:.6g}" if alpha else "0"
    if model.task == "classes":
        strength = f"1 / (len(rows) * {alpha:.6g})" if alpha else 'float("inf")'
        solver = 'solver="saga", ' if absolute else ""
        weights = '    class_weight="balanced",\n' if model.facts.get("balanced") else ""
        return "LogisticRegression", (
            f"LogisticRegression(\n{weights}    C={strength}, l1_ratio={ratio}, {solver}"
            "tol=1e-6, max_iter=10_000\n)"
        )
    if not alpha:
        return "LinearRegression", "LinearRegression()"
    if not absolute:
        return "Ridge", f"Ridge(alpha=2 * len(rows) * {square:.6g})"
    if not square:
        return "Lasso", f"Lasso(alpha={absolute:.6g})"
    return "ElasticNet", f"ElasticNet(alpha={alpha:.6g}, l1_ratio={ratio})"


def _split_penalty(model: FittedModel) -> tuple[float, float, bool]:
    """The penalty as a·Σ|w| + b·Σw² + rest: a, b, and whether there is a rest."""
    method = parse_method(model.method)
    if not method.penalty:
        return 0.0, 0.0, False
    parts = method.make_penalty(model.strength).split()
    return parts.absolute, parts.square, any(not penalty.is_zero for penalty in parts.rest)


def explain_sklearn(model: FittedModel) -> str:
    """Why scikit-learn lacks this linear model, in a sentence; "" where it has it."""
    if parse_method(model.method).how == "decoupled":
        return (
            f"{model.method} shrinks weights beside the optimizer's step, which is not the minimum "
            "of an objective, as scikit-learn's linear models are."
        )
    if _split_penalty(model)[2]:
        return f"scikit-learn has no linear model with {model.method}."
    return ""


def explain_reading(model: FittedModel) -> str:
    """Which columns the programs without shrinkage read otherwise; "" if there are none."""
    names = [
        reading.name
        for reading in model.readings
        if reading.role == "feature"
        and reading.kind != "text"
        and (reading.done or reading.mark != "." or reading.kind in ("date", "duration"))
    ]
    if not names:
        return ""
    columns = name_columns(names[:MOST_NAMES])
    more = f" and {pluralize(len(names) - MOST_NAMES, 'more column')}" if names[MOST_NAMES:] else ""
    return (
        f"pandas does not read {columns}{more} as the study did: "
        f"model.read({_quote(NEW)}).frame has every column as the model takes it."
    )


def _quote(text: object) -> str:
    """A Python literal, in double quotes where it holds no quotes itself."""
    literal = repr(str(text))
    plain = literal.startswith("'") and '"' not in literal and "\\'" not in literal
    return f'"{literal[1:-1]}"' if plain else literal
