"""In a few sentences from the results: what to use, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from shrinkage.study import scores
from shrinkage.study.emptied import is_emptied
from shrinkage.study.paired import Lead, lead
from shrinkage.study.records import Choice, Results, Trivial
from shrinkage.study.spec import stated_strength
from shrinkage.study.wording import count, scored, share, whole

WORTH_SAYING = 0.05  # share of zeros from which a model is called sparse, or sparser
KEPT = 0.9  # of the best model's lead over the trivial one, by a sparser model that is named
FALLBACK = 0.01  # the score that a sparser model may cost where the trivial score is not known


def verdict(results: Results) -> str:
    """What to use and why, by validation scores; the test scores are reported, never used.

    The best mean is recommended, or with `prefer` "sparse" the sparsest model that keeps 90 % of
    its lead over the trivial model (the majority class, the mean). What does not beat the trivial
    model, in accuracy by a validation row or more on average over the seeds, or has an R² of 0 or
    less, is never recommended. The recommended method alone is compared, with no penalty and with
    the trivial model, on the same splits (`shrinkage.study.paired`).
    """
    if not results.choices:
        return "Nothing can be recommended: every trial diverged; lower the learning rate (--lr)."
    able = [choice for choice in results.choices if _is_of_use(results, choice)]
    if not able:
        return _nothing(results)
    best = max(able, key=_merit)
    sparser = _sparser(results, able, best)
    prefers_sparse = results.question.get("prefer") == "sparse"
    chosen = sparser if prefers_sparse and sparser else best
    said = [
        _advice(results, chosen),
        _certainty(results, chosen),
        _tested(results, chosen),
        _sparsity(results, best, sparser, prefers_sparse=prefers_sparse),
    ]
    if results.trivial is None:
        said.append(
            f"What {_trivial_name(results)} scores is not kept in this older folder: compare "
            "again into another --out to know it."
        )
    return " ".join(sentence for sentence in said if sentence)


def _is_of_use(results: Results, choice: Choice) -> bool:
    """Whether a choice looks at the features and beats the trivial model, and an R² of 0."""
    score = choice.validation_mean
    beats = results.data.get("task") != "numbers" or _above(score, 0.0)
    if results.trivial is not None:
        beats &= _above(score, _level(results.trivial))
        beats &= not _above(_one_row(results), score - _level(results.trivial))
    return beats and not is_emptied(results, choice)


def _one_row(results: Results) -> float:
    """What one validation row is worth in the score: 1/n in accuracy, no fixed amount in R²."""
    rows = _rows(results, "validation")
    return 1 / rows if rows and _score_name(results) == "accuracy" else 0.0


def _above(one: float, other: float) -> bool:
    return one - other > 1e-12  # less is the rounding of means


def _level(trivial: Trivial) -> float:
    return fmean(trivial.validation_scores)


def _merit(choice: Choice) -> tuple[float, float, bool, float]:
    """A higher mean; of equals what is sparse, then no penalty, then more strength."""
    zeros = choice.zeros if choice.zeros >= WORTH_SAYING else 0.0
    return round(choice.validation_mean, 12), zeros, choice.method == "none", choice.strength


def _sparser(results: Results, able: Sequence[Choice], best: Choice) -> Choice | None:
    """The sparsest choice that is clearly sparser than the best, and nearly as good."""
    allowed = FALLBACK
    if results.trivial is not None:
        allowed = (1 - KEPT) * (best.validation_mean - _level(results.trivial))
    near = [
        choice
        for choice in able
        if choice.zeros >= best.zeros + WORTH_SAYING
        and not _above(best.validation_mean - allowed, choice.validation_mean)
    ]
    return max(near, key=lambda choice: (choice.zeros, *_merit(choice)), default=None)


def _advice(results: Results, chosen: Choice) -> str:
    """What to use, its score, and those of no penalty and of the trivial model."""
    score = f"{_score_name(results)} in validation"
    trivial = results.trivial
    bar = f"{scored(_level(trivial))} for {_named_trivial(trivial)}" if trivial else ""
    if chosen.method == "none":
        against = f", against {bar}" if bar else ""
        return (
            f"Use no penalty: its {score} is {scored(chosen.validation_mean)}{against}. "
            f"{_why_none(results)}"
        )
    plain = _plain(results)
    without = f"{scored(plain.validation_mean)} without a penalty" if plain else ""
    against = " and ".join(part for part in (without, bar) if part)
    diverges = "" if plain else " Without a penalty the training diverges."
    return (
        f"Use {_named(chosen)}: its {score} is {scored(chosen.validation_mean)}"
        f"{f', against {against}' if against else ''}.{diverges}"
    )


def _why_none(results: Results) -> str:
    penalized = [choice for choice in results.choices if choice.method != "none"]
    if not penalized:
        return "No penalty came through that could be compared with it."
    best = max(penalized, key=_merit)
    return (
        f"No penalty that was tried scores higher (the best, {_named(best)}, has "
        f"{scored(best.validation_mean)}): regularization does not help here."
    )


def _certainty(results: Results, chosen: Choice) -> str:
    """Whether the leads over no penalty and over the trivial model can be chance."""
    own = _seed_scores(results, chosen)
    if len(own) < 2:
        return (
            "One seed cannot tell such a lead from chance: take this as the best guess for now, "
            "and run more --seeds, into another --out."
        )
    others: list[tuple[str, Sequence[float]]] = []
    plain = _plain(results)
    if plain is not None and chosen.method != "none":
        others.append(("no penalty", _seed_scores(results, plain)))
    if results.trivial is not None:
        others.append((results.trivial.name, results.trivial.validation_scores))
    leads = [(name, _lead(results, own, other)) for name, other in others]
    ahead = [(name, found) for name, found in leads if _above(found.mean, 0.0)]
    unclear = [(name, found) for name, found in ahead if not found.is_clear]
    if unclear:
        return (
            f"{_sizes(results, len(own))} are too few to tell the lead over {_told(unclear)} from "
            "chance: take this as the best guess."
        )
    return f"The lead over {_told(ahead)} is more than chance explains." if ahead else ""


def _sizes(results: Results, seeds: int) -> str:
    train, validation = _rows(results, "train"), _rows(results, "validation")
    if not (train and validation):
        return count(seeds, "seed")
    return f"{count(seeds, 'seed')} with {train} rows to train on and {validation} to validate"


def _told(leads: Sequence[tuple[str, Lead]]) -> str:
    return " and over ".join(f"{name} ({scored(found.mean)})" for name, found in leads)


def _lead(results: Results, own: Sequence[float], others: Sequence[float]) -> Lead:
    train, validation = (_rows(results, part) or 1 for part in ("train", "validation"))
    return lead(own, others, train=train, validation=validation, step=_one_row(results))


def _tested(results: Results, chosen: Choice) -> str:
    if not chosen.test_scores:
        return ""
    rows = _rows(results, "test")
    part = f"the {count(rows, 'test row')}" if rows else "the test part"
    spread = f" ± {scored(chosen.test_error)}" if chosen.test_error >= 0 else ""
    trivial = results.trivial
    bar = f"; {trivial.name} has {scored(fmean(trivial.test_scores))}" if trivial else ""
    told = scored(fmean(chosen.test_scores))
    return f"On {part}, which chose nothing, it has {told}{spread}{bar}."


def _sparsity(
    results: Results, best: Choice, sparser: Choice | None, *, prefers_sparse: bool
) -> str:
    """What is 0 in the recommended model; the sparser one and its cost, or the denser one."""
    chosen = sparser if prefers_sparse and sparser else best
    said = [f"{_zeros(chosen)}."] if chosen.zeros >= WORTH_SAYING else []
    if sparser is not None:
        cost = best.validation_mean - sparser.validation_mean
        costs = f"costs {scored(cost)} of {_score_name(results)}" if _above(cost, 0) else "is free"
        if prefers_sparse:
            said.append(
                f"It is the sparsest of those near the best score, {scored(best.validation_mean)} "
                f"by {_named(best)}, and {costs}."
            )
        else:
            said.append(
                f"A sparser model, {_named(sparser)}, {costs}: {_zeros(sparser)} (--prefer sparse "
                "recommends it)."
            )
    elif prefers_sparse:
        said.append("No sparser model comes near its score.")
    return " ".join(said)


def _zeros(choice: Choice) -> str:
    dead = whole(choice.dead_neurons, choice.neurons)
    units = f", and {dead} of {choice.neurons} hidden units are dead" if dead else ""
    return f"{share(choice.zeros)} of its weights are exactly 0{units}"


def _nothing(results: Results) -> str:
    """No model is better than the trivial one: which came nearest, and what may help."""
    best = max(results.choices, key=_merit)
    trivial = results.trivial
    why = "every model that was trained predicts the same for every row"
    if _score_name(results) == "R²":
        bar = f" (the mean has {scored(_level(trivial))})" if trivial else ""
        why = f"no model has an R² above 0 in validation, and below it a constant is better{bar}"
    elif trivial is not None:
        why = (
            f"no model beats {_named_trivial(trivial)}, which has {scored(_level(trivial))} "
            f"{_score_name(results)} in validation without looking at the features"
        )
    emptied = ", and predicts the same for every row" if is_emptied(results, best) else ""
    nearest = f"The best that was trained, {_named(best)}, has {scored(best.validation_mean)}"
    return " ".join(
        [f"Nothing is recommended: {why}.", f"{nearest}{emptied}.", *_remedies(results)]
    )


def _remedies(results: Results) -> list[str]:
    plain = _plain(results)
    if plain is None:
        return [
            "Without a penalty the training diverges: lower the learning rate (--lr); with "
            "penalties try weaker --strengths."
        ]
    fitted = _mean_train_score(results, plain)
    level = _level(results.trivial) if results.trivial else 0.0
    is_accuracy = _score_name(results) == "accuracy"
    learned = f"Without a penalty the model has {scored(fitted)} on the rows it was trained on"
    new = f"and {scored(plain.validation_mean)} on new ones"
    gap = 1 - (level if is_accuracy else 0.0)  # from the trivial score to a perfect one
    few = 2 / max(_rows(results, "train"), 1) if is_accuracy else 0.0  # that shares differ by
    if fitted - plain.validation_mean > 0.2 * gap and fitted - level > few:
        said = [
            f"{learned} {new}: it learns rows by heart; the features may say little about the "
            f"target, or {count(_rows(results, 'train'), 'training row')} be too few."
        ]
    else:
        said = [
            f"{learned}: it has hardly learned; the features may say little about the target, or "
            "it needs more --epochs, another --lr or a larger --model."
        ]
    if not is_accuracy and level < -0.1:
        said.append("A few extreme values of the target may rule the fit and its R²: look at them.")
    if is_accuracy and level >= 0.8:
        said.append(
            "Where one class is so frequent, accuracy rewards answering it always: a table with "
            "as many rows of each class shows more."
        )
    return said


def _plain(results: Results) -> Choice | None:
    return next((choice for choice in results.choices if choice.method == "none"), None)


def _seed_scores(results: Results, choice: Choice) -> list[float]:
    """The validation scores of a choice, first seed first."""
    return [
        record.validation_score
        for record in sorted(results.records_of(choice), key=lambda record: record.trial.seed)
        if record.validation_score is not None
    ]


def _mean_train_score(results: Results, choice: Choice) -> float:
    known = [r.train_score for r in results.records_of(choice) if r.train_score is not None]
    return fmean(known) if known else math.nan


def _rows(results: Results, part: str) -> int:
    rows = results.data.get(part)
    return rows if isinstance(rows, int) else 0


def _score_name(results: Results) -> str:
    return scores.NAMES[str(results.data.get("task", "classes"))]


def _trivial_name(results: Results) -> str:
    return "the mean" if results.data.get("task") == "numbers" else "the majority class"


def _named_trivial(trivial: Trivial) -> str:
    if not trivial.answer:
        return trivial.name
    answer = trivial.answer if len(trivial.answer) <= 40 else f"{trivial.answer[:39]}…"
    return f"{trivial.name}, {answer!r}"


def _named(choice: Choice) -> str:
    if choice.method == "none":
        return "no penalty"
    if stated_strength(choice.method) is not None:
        return choice.method
    edge = f", the {choice.edge} tried" if choice.edge else ""
    return f"{choice.method} at {choice.strength:.2g}{edge}"
