"""A model that is ready for new rows: what it predicts, and from which inputs."""

from __future__ import annotations

import functools
import html
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from shrinkage.study.data.column_reading import Reading
from shrinkage.study.data.encoding import Encoding
from shrinkage.study.errors import UsageError
from shrinkage.study.formatting import pluralize
from shrinkage.study.model.coefficients import tabulate_coefficients
from shrinkage.study.model.network import State, build_predictor, find_used_inputs
from shrinkage.study.model.new_rows import NewRows, read_new_rows
from shrinkage.study.model.storage import read_model_folder, write_model_folder
from shrinkage.study.records import FeatureUse
from shrinkage.study.scores import answer_outputs, estimate_probabilities
from shrinkage.study.summary import rank_features
from shrinkage.user_warning import warn_user

if TYPE_CHECKING:
    import pandas as pd

MODEL = "model"  # the folder of a study's model, in that of the study


@final
@dataclass(frozen=True, repr=False)
class FittedModel:
    """A model of a study, fitted for use; made by `compare`, `fit_model` or `load_model`.

    It needs neither the study nor the data. "linear" and "mlp:..." need no torch either; a model
    from a function of your own is built by that function again.

    Examples
    --------
    >>> import tempfile
    >>> from shrinkage.study import compare
    >>> from shrinkage.study.data.sources import read_source
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = compare(
    ...         "iris", penalty="l1", strengths=[1e-3], seeds=1, epochs=30, jobs=1,
    ...         out=folder, quiet=True,
    ...     )
    ...     model = results.model  # or load_model(folder)
    >>> rows = read_source("iris").frame.head(3)
    >>> model.predict(rows).tolist()
    ['setosa', 'setosa', 'setosa']
    >>> model.predict_proba(rows).shape  # a column for each of model.classes
    (3, 3)
    >>> model.features["feature"].tolist()[:2]
    ['petal width (cm)', 'petal length (cm)']

    What was read, with its notes, can be looked at before it is answered:

    >>> read = model.read(rows.assign(color="blue").drop(columns="target"))
    >>> read.notes
    ("column 'color': not in the training data, and ignored",)
    >>> model.answer(read.frame).tolist()[0], model.estimate_probabilities(read.frame).shape
    ('setosa', (3, 3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/irises")
    ...     load_model(f"{folder}/irises").predict(rows).tolist()[0]
    'setosa'
    """

    model: str  # "linear", "mlp:64", "package.module:function"
    method: str
    strength: float
    task: str  # "classes" or "numbers"
    classes: tuple[str, ...]
    encoding: Encoding
    readings: tuple[Reading, ...]  # how the columns of the training table were written
    state: State
    uses: tuple[FeatureUse, ...] = ()  # of this method and strength in the study
    facts: dict[str, Any] = field(default_factory=dict)  # rows, seeds, scores, versions, study

    @property
    def target(self) -> str:
        """The name of the column that is predicted."""
        return next(reading.name for reading in self.readings if reading.role == "target")

    @functools.cached_property
    def kept(self) -> tuple[str, ...]:
        """The columns that the model uses: at least one of their weights is not 0."""
        used = find_used_inputs(self.model, self.state, self.encoding.width)
        return tuple(name for name, inside in self.encoding.slices().items() if used[inside].any())

    @property
    def features(self) -> pd.DataFrame:
        """One row for each input, the most important first.

        "kept" says whether this model uses it; "seeds" in which share of the study's models of
        the same method and strength it is used; "importance" is the validation score that these
        lose when its values are permuted, with its standard error; these three are nan at a
        strength that the study has not tried. For a linear model with one
        output, "coefficient" and "coefficient (original)" are this model's, on the standardized
        and on the original scale; text columns have one for each level, see `coefficients`.
        """
        import pandas as pd

        kept, linear = set(self.kept), self._linear_coefficients()
        rows = []
        use_of = {use.feature: use for use in rank_features(self.uses)}
        names = [*use_of] or [column.name for column in self.encoding.columns]
        for name in sorted(names, key=lambda name: name not in kept):  # a stable sort
            use = use_of.get(name)
            row: dict[str, object] = {
                "feature": name,
                "kept": name in kept,
                "seeds": use.kept / use.seeds if use else math.nan,
                "importance": use.importance if use else math.nan,
                "importance error": use.importance_error if use else math.nan,
            }
            if linear:
                row["coefficient"], row["coefficient (original)"] = linear.get(
                    name, (math.nan, math.nan)
                )
            rows.append(row)
        return pd.DataFrame(rows)

    @property
    def coefficients(self) -> pd.DataFrame:
        """The coefficients of a linear model: one row for each input, level and class.

        The last rows are the intercepts. On the original scale the model is
        ŷ = intercept + Σ coefficient·x for numbers, and the logits of the classes otherwise.

        Raises
        ------
        ValueError
            If the model is not linear.
        """
        import pandas as pd

        if self.model != "linear":
            raise ValueError(f"a model {self.model!r} has no coefficients: a linear one has")
        return pd.DataFrame(tabulate_coefficients(self.state, self.encoding, self.classes))

    def predict(self, data: Any) -> np.ndarray:
        """What the model predicts for each row: a class as text, or a number; (rows,).

        Parameters
        ----------
        data : path, data frame or array
            The columns by name, read as those of the training table were; unused ones may be
            absent. An array has the columns of training in their order.

        Raises
        ------
        UsageError
            If a column that the model uses is missing, or holds what cannot be read.

        Warns
        -----
        UserWarning
            Where empty cells were filled in, or a level is not known.
        """
        return self.answer(self.read(data, warn=True).frame)

    def predict_proba(self, data: Any) -> np.ndarray:
        """The probability of each class, (rows, classes), in the order of `classes`.

        Raises
        ------
        UsageError
            As `predict`.
        ValueError
            If the model predicts numbers.
        """
        if self.task != "classes":
            raise ValueError("predict_proba: this model predicts numbers, use predict")
        return self.estimate_probabilities(self.read(data, warn=True).frame)

    def read(self, data: Any, *, warn: bool = False) -> NewRows:
        """The columns of new rows, and notes on them; `warn` gives those on cells as warnings."""
        rows = read_new_rows(data, self.readings, self.encoding, self.kept)
        if warn and rows.doubts:
            warn_user("; ".join(rows.doubts))
        return rows

    def answer(self, frame: pd.DataFrame) -> np.ndarray:
        """Predictions for columns that `read` has read."""
        answers = answer_outputs(self._outputs(frame), self.task)
        if self.task == "numbers":
            return self.encoding.center + self.encoding.scale * answers.astype(np.float64)
        return np.asarray(np.array(self.classes, dtype=object)[answers])

    def estimate_probabilities(self, frame: pd.DataFrame) -> np.ndarray:
        """Probabilities for columns that `read` has read: the logistic function or softmax."""
        return estimate_probabilities(self._outputs(frame))

    def save(self, folder: str | Path) -> None:
        """Write the model into a folder of its own: model.json and weights.safetensors.

        Raises
        ------
        UsageError
            If the folder holds something else, or cannot be written; nothing is changed then.
        """
        fields = {
            "model": self.model,
            "method": self.method,
            "strength": self.strength,
            "task": self.task,
            "classes": list(self.classes),
            "encoding": self.encoding.to_json(),
            "readings": [asdict(reading) for reading in self.readings],
            "uses": [asdict(use) for use in self.uses],
            "facts": self.facts,
        }
        write_model_folder(Path(folder), fields, dict(self.state))

    def _outputs(self, frame: pd.DataFrame) -> np.ndarray:
        return self._predictor(self.encoding.encode(frame))

    @functools.cached_property
    def _predictor(self) -> Callable[[np.ndarray], np.ndarray]:
        outputs = len(self.classes) if len(self.classes) > 2 else 1
        return build_predictor(self.model, self.state, self.encoding.width, outputs)

    def _linear_coefficients(self) -> dict[str, tuple[float, float]]:
        """(standardized, original) by number column, for a linear model with one output."""
        if self.model != "linear" or len(self.classes) > 2:
            return {}
        rows = tabulate_coefficients(self.state, self.encoding, self.classes)
        return {
            row["feature"]: (row["coefficient"], row["original"])
            for row in rows
            if not row["level"]
        }

    def __repr__(self) -> str:
        at = f" at {self.strength:.3g}" if self.strength else ""
        all_inputs = len(self.encoding.columns)
        count = self.facts.get("fitted rows")
        rows = f", fitted on {pluralize(count, 'row')}" if count else ""
        return (
            f"FittedModel({self.method}{at}, {self.model}, predicts {self.target!r} from "
            f"{len(self.kept)} of {pluralize(all_inputs, 'input')}{rows})"
        )

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.features.to_html(index=False)}"


def load_model(folder: str | Path) -> FittedModel:
    """The model in a folder: of a study, its `model/`, or where `FittedModel.save` wrote it.

    Raises
    ------
    UsageError
        If there is no model, or it is damaged, or of a later version.

    Examples
    --------
    >>> load_model("nowhere")
    Traceback (most recent call last):
    shrinkage.study.errors.UsageError: there is no folder 'nowhere': ...
    """
    path = Path(folder)
    inside = path / MODEL
    fields, state = read_model_folder(inside if inside.is_dir() else path)
    try:
        return FittedModel(
            model=fields["model"],
            method=fields["method"],
            strength=float(fields["strength"]),
            task=fields["task"],
            classes=tuple(fields["classes"]),
            encoding=Encoding.from_json(fields["encoding"]),
            readings=tuple(
                Reading(**{**reading, "holes": tuple(reading["holes"])})
                for reading in fields["readings"]
            ),
            state=state,
            uses=tuple(_read_use(use) for use in fields["uses"]),
            facts=fields["facts"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"folder {str(path)!r} holds a model of another version of shrinkage ({error!r})"
        ) from None


def _read_use(fields: dict[str, Any]) -> FeatureUse:
    """What was written of one input; a number that was not finite was written as None."""
    unknown = {key: math.nan for key in ("importance", "importance_error") if fields[key] is None}
    return FeatureUse(**{**fields, **unknown})
