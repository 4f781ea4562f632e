"""The results of a study, how they are shown as a table, and the words that explain it."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from shrinkage.study.data.column_reading import Reading
from shrinkage.study.errors import UsageError
from shrinkage.study.formatting import count_rows, pluralize
from shrinkage.study.records import Baseline, Choice, Data, FeatureUse, Question, Record
from shrinkage.study.results_text import describe_inputs, make_baseline_row, make_row
from shrinkage.study.scores import Metric, find_metric
from shrinkage.study.summary import estimate_mean, merge_rules, predicts_a_constant, summarize
from shrinkage.study.unfinished import describe_unfinished, find_comparable
from shrinkage.text_table import to_html, to_paragraphs

if TYPE_CHECKING:
    import pandas as pd

    from shrinkage.study.model.fitted import FittedModel

HOWS = {
    "loss": "the penalty is added to the loss",
    "coupled": "its gradient is added to that of the loss, and the optimizer rescales both",
    "decoupled": "weights shrink beside the optimizer's step, as in AdamW",
    "proximal": "weights shrink after each step, and small ones become exactly 0",
}


@dataclass(frozen=True, repr=False)
class Results:
    """A whole study, as read back from its folder. It prints as a table.

    Examples
    --------
    >>> import tempfile
    >>> from shrinkage.study import compare
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = compare(
    ...         "spiral", penalty="l1@loss", strengths=[1e-3], seeds=1, epochs=2, jobs=1,
    ...         out=folder, quiet=True,
    ...     )
    >>> [(choice.method, choice.rule) for choice in results.choices]
    [('none', 'best'), ('l1@loss', 'best'), ('l1@loss', 'one-se')]
    >>> results.table().columns[:4].tolist()  # numbers; `text_table()` has them as text
    ['method', 'rule', 'strength', 'validation']
    >>> results.text_table().columns[:3].tolist()
    ['method', 'rule', 'strength']
    >>> [record.status for record in results.records_of(results.choices[0])]
    ['ok']
    >>> [use.feature for use in results.features_of("l1@loss", 1e-3)]  # with their importance
    ['x', 'y']
    >>> results.is_constant(results.choices[0])
    False
    >>> results.remarks()
    []
    >>> results.methods
    ['none', 'l1@loss']
    >>> figure = results.plot()  # or "zeros", or "front"
    >>> len(results.comparable), results.describe_progress()[:27]
    (2, 'This study is not finished:')
    >>> results.explain_terms()[0]
    ('accuracy', 'the share of rows that are predicted correctly')
    """

    question: Question
    provenance: dict[str, str]  # "command", "started", "python", "torch", "numpy", "shrinkage" ...
    data: Data
    records: list[Record]
    choices: list[Choice]  # two per method (rule "best" and "one-se"); one for "none"
    verdict: str  # what to use and why, in words; "" until the study is complete
    recommended: Choice | None = None  # what the verdict recommends
    features: list[FeatureUse] = field(default_factory=list)  # inputs of the chosen models
    folder: Path | None = None  # where the study is kept

    @property
    def task(self) -> str:
        """Whether the target is "classes" or "numbers"."""
        return self.data.get("task", "classes")

    @property
    def metric(self) -> Metric:
        """The score of the models, by which they were chosen."""
        return find_metric(self.question.get("metric"), self.task)

    @property
    def folds(self) -> int | None:
        """K of the K-fold cross-validation; None where each seed has one split."""
        return self.question.get("folds")

    @property
    def repeat(self) -> str:
        """What the trials of one method and strength differ in: "seed", or "fold" of a seed."""
        return "fold" if self.folds else "seed"

    @property
    def methods(self) -> list[str]:
        """Each method that was recorded, once: "none" first, then in the order of the question."""
        recorded = [record.trial.method for record in self.records]
        chosen = [choice.method for choice in self.choices]
        asked = [name for name in self.question.get("methods", []) if name in {*recorded, *chosen}]
        return sorted(dict.fromkeys([*asked, *chosen, *recorded]), key=lambda name: name != "none")

    @property
    def baseline(self) -> Baseline | None:
        """The trivial model, which ignores the features; None in a folder of an earlier version."""
        trivial = self.data.get("trivial")
        return None if trivial is None else Baseline(**trivial)

    @property
    def readings(self) -> tuple[Reading, ...]:
        """How each column of the data was read; () in a folder of an earlier version."""
        stored = self.data.get("readings", [])
        return tuple(Reading(**{**fields, "holes": tuple(fields["holes"])}) for fields in stored)

    def records_of(self, choice: Choice) -> list[Record]:
        """The trials of a choice that did not diverge, in the order of their seeds."""
        records = [
            record
            for record in self.records
            if (record.trial.method, record.trial.strength) == (choice.method, choice.strength)
            and record.status == "ok"
        ]
        return sorted(records, key=lambda record: record.trial.seed)

    def features_of(self, method: str, strength: float) -> list[FeatureUse]:
        """What the models of a method at a strength make of each input."""
        return [use for use in self.features if (use.method, use.strength) == (method, strength)]

    @property
    def model(self) -> FittedModel:
        """The recommended model, fitted for use, from the study's folder.

        Raises
        ------
        UsageError
            If none was fitted: nothing is recommended, or `refit` was None.
        """
        from shrinkage.study.model.fitted import load_model

        if self.folder is None:
            raise UsageError("these results were not read from a folder: there is no model")
        return load_model(self.folder)

    def is_constant(self, choice: Choice) -> bool:
        """Whether the model of every seed predicts the same for every row."""
        records = self.records_of(choice)
        model = self.question.get("model", "")
        return bool(records) and all(predicts_a_constant(record, model) for record in records)

    def table(self) -> pd.DataFrame:
        """One row for each choice and one for the trivial model, as numbers to calculate with."""
        import pandas as pd  # is slow to import, and records can be read without it

        rows: list[dict[str, object]] = [
            {
                "method": choice.method,
                "rule": choice.rule,
                "strength": choice.strength,
                "validation": choice.validation_mean,
                "standard error": choice.validation_se,
                "test": estimate_mean(choice.test_scores)[0],
                "test error": choice.test_error,
                "zeros": choice.zeros,
                "dead neurons": choice.dead_neurons,
                "neurons": choice.neurons,
                "seconds": choice.seconds,
            }
            for choice in self.choices
        ]
        if self.baseline is not None:
            mean, error = estimate_mean(self.baseline.validation_scores)
            rows.append(
                {
                    "method": self.baseline.name,
                    "rule": "",
                    "validation": mean,
                    "standard error": error,
                    "test": fmean(self.baseline.test_scores),
                    "test error": self.baseline.test_error,
                    "neurons": 0,
                }
            )
        return pd.DataFrame(rows)

    def text_table(self) -> pd.DataFrame:
        """The same as text to read; a method whose two rules agree has one row."""
        import pandas as pd

        rows = [make_row(choices) for choices in merge_rules(self.choices)]
        if rows and self.baseline is not None:
            rows.append(make_baseline_row(self.baseline))
        return pd.DataFrame(rows, columns=list(rows[0]) if rows else None)

    def remarks(self) -> list[str]:
        """What to know beside the numbers: a sample, edges of the grid, divergence ..."""
        edges = [
            f"{choice.method}: the best strength, {choice.strength:.2g}, is the {choice.edge} "
            "of the grid; a better one may lie beyond it (--strengths)."
            for choice in self.choices
            if choice.edge and choice.rule == "best"
        ]
        constant = {
            f"{choice.method} at {choice.strength:.2g} predicts the same for every row: "
            f"{'all its weights are 0' if choice.zeros == 1 else 'zeros cut off every feature'}."
            for choice in self.choices
            if self.is_constant(choice)
        }
        diverged = Counter(r.trial.method for r in self.records if r.status == "diverged")
        rows, all_rows = self.data.get("rows", 0), self.data.get("all_rows")
        sample = f"This is a first look, at {count_rows(rows, all_rows)} (--sample)."
        return [*([sample] if all_rows else []), *edges, *sorted(constant)] + [
            f"{method}: {pluralize(count, 'trial')} diverged; a strength with a diverged trial is "
            "not chosen."
            for method, count in diverged.items()
        ]

    @property
    def comparable(self) -> list[Record]:
        """The records whose means can be compared: in an unfinished study those of whole splits."""
        return self.records if self.verdict else find_comparable(self.records, self.question)

    def describe_progress(self) -> str:
        """How far a study is that has no verdict yet."""
        return describe_unfinished(self.records, self.question)

    def explain_terms(self) -> list[tuple[str, str]]:
        """The words of tables and figures and what they mean, those that occur in this study."""
        if not self.choices:
            return []
        terms = [
            (self.metric.title, self.metric.meaning),
            ("validation", self._explain_validation()),
        ]
        rows = self.data.get("test")
        if rows and any(choice.test_scores for choice in self.choices):
            rows_text = f"{pluralize(rows, 'row')} that no choice was based on"
            terms.append(("test", f"{rows_text}, ± the error that comes from their number"))
        if self.baseline is not None:
            terms.append((self.baseline.name, "the score to beat: it ignores the features"))
        if any(choice.rule == "one-se" for choice in self.choices):
            terms.append(("one-se", "the strongest within one standard error of the method's best"))
        used = {choice.method.rpartition("@")[2] for choice in self.choices}
        return terms + [(how, meaning) for how, meaning in HOWS.items() if how in used]

    def _explain_validation(self) -> str:
        seeds = len({record.trial.seed for record in self.comparable})
        if seeds < 2:
            return "one split of the rows, so the variation between splits is unknown"
        splits = f"{seeds} splits of the rows"
        if self.folds:
            times = seeds // self.folds
            splits = f"{self.folds} folds" + (f", {times} times" if times > 1 else "")
        return f"mean over {splits}, ± its standard error; it chose the strengths"

    def __repr__(self) -> str:
        frame = self.text_table()
        table = frame.to_string(index=False) if len(frame) else "no strength can be chosen yet"
        terms = " ".join(f"{term}: {meaning}." for term, meaning in self.explain_terms())
        inputs = self._describe_inputs()
        verdict = [self.verdict or self.describe_progress()]
        parts = [[table], textwrap.wrap(terms, 100), self.remarks(), verdict, inputs]
        return "\n\n".join("\n".join(lines) for lines in parts if any(lines))

    def _repr_html_(self) -> str:
        frame = self.text_table()
        table = to_html([tuple(frame.columns), *frame.itertuples(index=False)])
        terms = " ".join(f"{term}: {meaning}." for term, meaning in self.explain_terms())
        sentences = [self.verdict or self.describe_progress(), terms, *self.remarks()]
        sentences += self._describe_inputs()
        return (table if len(frame) else "") + to_paragraphs(sentences)

    def plot(self, values: str = "score") -> Any:
        """A Plotly figure of every strength: "score", "zeros", or "front", one over the other.

        Raises
        ------
        ValueError
            If `values` is none of these, or no trial has a score yet.
        """
        from shrinkage.study.plots.all_strengths import plot_strengths

        cells = summarize(self.comparable)
        return plot_strengths(values, cells, self.choices, self.methods, self.baseline, self.metric)

    def _describe_inputs(self) -> list[str]:
        chosen = self.recommended
        uses = self.features_of(chosen.method, chosen.strength) if chosen else []
        return describe_inputs(uses, self.metric, self.repeat)
