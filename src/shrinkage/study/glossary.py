"""The words of a study's tables and figures, explained where they appear."""

from __future__ import annotations

import textwrap

from shrinkage.study import scores
from shrinkage.study.records import Results
from shrinkage.study.wording import count

SCORES = {
    "classes": "the share of rows that are answered right",
    "numbers": "1 is a perfect prediction, 0 no better than a constant",
}
WAYS = {
    "loss": "the penalty is added to the loss",
    "coupled": "its gradient joins that of the loss, and the optimizer rescales both",
    "decoupled": "weights shrink beside the optimizer's step, as in AdamW",
    "proximal": "weights shrink after each step, and small ones become exactly 0",
}


def glossary(results: Results) -> list[tuple[str, str]]:
    """Terms with what they mean, those alone that this study's results hold."""
    if not results.choices:
        return []
    task = str(results.data.get("task", "classes"))
    said = [(scores.NAMES[task], SCORES[task]), ("validation", _validation(results))]
    rows = results.data.get("test")
    if isinstance(rows, int) and any(choice.test_scores for choice in results.choices):
        said.append(
            ("test", f"{count(rows, 'row')} that chose nothing, ± what comes from their number")
        )
    if results.trivial is not None:
        said.append((results.trivial.name, "the score to beat, without a look at the features"))
    if any(choice.rule == "one-se" for choice in results.choices):
        said.append(
            (
                "one-se",
                "the strongest within one standard error of the method's best",
            )
        )
    used = {choice.method.rpartition("@")[2] for choice in results.choices}
    return said + [(way, meaning) for way, meaning in WAYS.items() if way in used]


def to_lines(results: Results) -> list[str]:
    """The same as a paragraph for a terminal."""
    said = " ".join(f"{term}: {meaning}." for term, meaning in glossary(results))
    return textwrap.wrap(said, 100)


def _validation(results: Results) -> str:
    seeds = {record.trial.seed for record in results.records}
    if len(seeds) < 2:
        return "one split of the rows, so nothing tells how much others would change it"
    return (
        f"mean over {len(seeds)} splits of the rows, ± its standard error; it chose the strengths"
    )
