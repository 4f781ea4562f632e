"""What to use and why, in a few sentences made from the results."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from shrinkage.study.formatting import format_score, format_share, pluralize, round_units
from shrinkage.study.method import parse_method
from shrinkage.study.paired_comparison import Lead, compare_paired
from shrinkage.study.recommending import (
    SPARSE,
    average_validation,
    exceeds,
    find_candidates,
    measure_lead,
    measure_one_row,
    rank,
)
from shrinkage.study.records import Baseline, Choice, Record
from shrinkage.study.results import Results
from shrinkage.study.summary import estimate_mean

MOST_SHOWN = 40  # characters of the majority class


def write_verdict(results: Results) -> str:
    """What to use and why, by validation scores; the test scores are reported, never used.

    The best mean is recommended, or with `prefer` "sparse" the sparsest model that keeps 90 % of
    its lead over the trivial model (the majority class, the mean). A model is never recommended
    if it does not beat the trivial model, in accuracy by at least one validation row on average
    over the seeds, or if its R² is 0 or less. Only the recommended method is compared with no
    penalty and with the trivial model, on the same splits (`shrinkage.study.paired_comparison`).
    """
    if not results.choices:
        return f"Nothing can be recommended: every trial diverged; {_lower_lr(results)}."
    best, sparser, chosen = find_candidates(results)
    if best is None or chosen is None:
        return _explain_failure(results)
    prefers_sparse = results.question.get("prefer") == "sparse"
    sentences = [
        _recommend(results, chosen),
        _judge_leads(results, chosen),
        _report_test(results, chosen),
        _describe_sparsity(results, best, sparser, prefers_sparse=prefers_sparse),
    ]
    if results.baseline is None:
        sentences.append(
            f"This older folder does not hold the score of {results.metric.trivial}: compare "
            "again into another --out to know it."
        )
    return " ".join(sentence for sentence in sentences if sentence)


def _recommend(results: Results, chosen: Choice) -> str:
    """What to use, its score, and the scores of no penalty and of the trivial model."""
    baseline, unpenalized = results.baseline, _find_unpenalized(results)
    rivals = []
    if unpenalized and chosen.method != "none":
        rivals.append(f"{format_score(unpenalized.validation_mean)} without a penalty")
    if baseline:
        score = format_score(average_validation(baseline))
        rivals.append(f"{score} for {_name_baseline(baseline)}")
    against = f", against {' and '.join(rivals)}" if rivals else ""
    score = f"{results.metric.title} in validation is {format_score(chosen.validation_mean)}"
    advice = f"Use {_name_choice(chosen)}: its {score}{against}."
    if chosen.method != "none":
        if unpenalized is None:
            return f"{advice} Without a penalty the training diverges."
        if not _is_level(chosen, unpenalized):
            return advice
        why = "it is sparser, and preferred for that"
        if chosen.zeros < unpenalized.zeros + SPARSE:
            why = "no penalty is simpler, and as good"
        return f"{advice} It is level with no penalty: {why}."
    penalized = [choice for choice in results.choices if choice.method != "none"]
    if not penalized:
        return f"{advice} There is no model with a penalty to compare it with."
    best = max(penalized, key=lambda choice: rank(results, choice))
    return (
        f"{advice} No penalty that was tried scores better (the best, {_name_choice(best)}, has "
        f"{format_score(best.validation_mean)}): regularization does not help here."
    )


def _judge_leads(results: Results, chosen: Choice) -> str:
    """Whether the leads over no penalty and over the trivial model may be due to chance."""
    chosen_scores = _collect_validation_scores(results, chosen)
    seeds = len(chosen_scores)
    if seeds < 2:
        return (
            "One seed cannot tell such a lead from chance: take this as the best guess for now, "
            "and run more --seeds, into another --out."
        )
    rivals: list[tuple[str, Sequence[float]]] = []
    unpenalized = _find_unpenalized(results)
    if unpenalized and chosen.method != "none" and not _is_level(chosen, unpenalized):
        rivals.append(("no penalty", _collect_validation_scores(results, unpenalized)))
    if results.baseline is not None:
        rivals.append((results.baseline.name, results.baseline.validation_scores))
    train, validation = results.data.get("train", 0), results.data.get("validation", 0)
    leads: list[tuple[str, Lead]] = []
    for name, rival_scores in rivals:
        lead = compare_paired(
            list(map(results.metric.gain, chosen_scores)),
            list(map(results.metric.gain, rival_scores)),
            train=train or 1,
            validation=validation or 1,
            step=measure_one_row(results),
        )
        if exceeds(results, lead.mean, 0.0):
            leads.append((name, lead))
    unclear = [(name, lead) for name, lead in leads if not lead.is_clear]
    if unclear:
        sizes = f" with {train} rows to train on and {validation} to validate"
        splits = f"{pluralize(seeds, results.repeat)}{sizes if train and validation else ''}"
        return (
            f"{splits} are too few to tell the lead over {_name_leads(unclear)} from chance: take "
            "this as the best guess."
        )
    return f"The lead over {_name_leads(leads)} is more than chance explains." if leads else ""


def _name_leads(leads: Sequence[tuple[str, Lead]]) -> str:
    return " and over ".join(f"{name} ({format_score(lead.mean)})" for name, lead in leads)


def _report_test(results: Results, chosen: Choice) -> str:
    if not chosen.test_scores:
        return ""
    rows, baseline = results.data.get("test"), results.baseline
    part = f"the {pluralize(rows, 'test row')}" if rows else "the test part"
    error = f" ± {format_score(chosen.test_error)}" if chosen.test_error >= 0 else ""
    rival = f"; {baseline.name} has {format_score(fmean(baseline.test_scores))}" if baseline else ""
    score = fmean(chosen.test_scores)
    models = len(chosen.test_scores)
    has = f"its {models} models have on average" if models > 1 else "it has"
    sentence = f"On {part}, which played no part in the choice, {has} {format_score(score)}{error}"
    gain = results.metric.gain
    if baseline and gain(score) <= gain(fmean(baseline.test_scores)):
        rival += ", which is no worse: try this model on more rows before you rely on it"
    return f"{sentence}{rival}."


def _describe_sparsity(
    results: Results, best: Choice, sparser: Choice | None, *, prefers_sparse: bool
) -> str:
    """The zeros of the recommended model, and what the sparser or the denser one costs."""
    chosen = sparser if prefers_sparse and sparser else best
    sentences = [f"{_describe_zeros(chosen)}."] if chosen.zeros >= SPARSE else []
    if sparser is not None:
        cost = measure_lead(results, best, sparser.validation_mean)
        costs = f"costs {format_score(cost)} {'of' if results.metric.best else 'more'} "
        costs += results.metric.title
        costs = costs if exceeds(results, cost, 0.0) else "costs nothing"
        if prefers_sparse:
            sentences.append(
                "It is the sparsest of those near the best score, "
                f"{format_score(best.validation_mean)} by {_name_choice(best)}, and {costs}."
            )
        else:
            sentences.append(
                f"A sparser model, {_name_choice(sparser)}, {costs}: {_describe_zeros(sparser)} "
                "(--prefer sparse recommends it)."
            )
    elif prefers_sparse:
        sentences.append("No sparser model comes near its score.")
    return " ".join(sentences)


def _describe_zeros(choice: Choice) -> str:
    dead = round_units(choice.dead_neurons, choice.neurons)
    are = "is" if dead == 1 else "are"
    units = f", and {dead} of {choice.neurons} hidden units {are} dead" if dead else ""
    return f"{format_share(choice.zeros)} of its weights are exactly 0{units}"


def _explain_failure(results: Results) -> str:
    """Why nothing is recommended: which model came nearest, and what may help."""
    best = max(results.choices, key=lambda choice: rank(results, choice))
    baseline = results.baseline
    why = "every model that was trained predicts the same for every row"
    if results.metric.name == "r2":
        mean = f" (the mean has {format_score(average_validation(baseline))})" if baseline else ""
        why = f"no model has an R² above 0 in validation, and below 0 a constant is better{mean}"
    elif baseline is not None:
        why = (
            f"no model beats {_name_baseline(baseline)}, which has "
            f"{format_score(average_validation(baseline))} {results.metric.title} in validation "
            "without looking at the features"
        )
    constant = ", and predicts the same for every row" if results.is_constant(best) else ""
    nearest = f"{_name_choice(best)}, has {format_score(best.validation_mean)}{constant}"
    return " ".join(
        [
            f"Nothing is recommended: {why}.",
            f"The best that was trained, {nearest}.",
            *_suggest_remedies(results),
        ]
    )


def _suggest_remedies(results: Results) -> list[str]:
    unpenalized = _find_unpenalized(results)
    if unpenalized is None:
        return [
            f"Without a penalty the training diverges: {_lower_lr(results)}; with penalties try "
            "weaker --strengths."
        ]
    train_score = estimate_mean(r.train_score for r in results.records_of(unpenalized))[0]
    train_rows, metric = results.data.get("train", 0), results.metric
    level = average_validation(results.baseline) if results.baseline else 0.0
    # Overfitting is a gap between old and new rows that is large against the distance from the
    # trivial score to a perfect one, where more than two training rows are learned at all.
    gap = metric.gain(train_score) - metric.gain(unpenalized.validation_mean)
    learned_lead = metric.gain(train_score) - metric.gain(level)
    two_rows = 2 / max(train_rows, 1) if metric.counts_rows else 0.0
    overfits = gap > 0.2 * abs(metric.best - level) and learned_lead > two_rows
    learned = f"the model has {format_score(train_score)} on the rows it was trained on"
    if overfits:
        sentences = [
            f"Without a penalty {learned} and {format_score(unpenalized.validation_mean)} on new "
            "ones: it memorizes its training rows; the features may say little about the target, "
            f"or {pluralize(train_rows, 'training row')} may be too few."
        ]
    else:
        sentences = [
            f"Without a penalty {learned}: it has hardly learned; the features may say little "
            f"about the target, or {_say_what_helps(results.records_of(unpenalized))}."
        ]
    if (metric.name == "r2" and level < -0.1) or (metric.in_units and learned_lead < 0.0):
        sentences.append(
            "A few extreme target values may dominate the squared error that training minimizes: "
            "check them, or predict the logarithm of the target."
        )
    if metric.name == "accuracy" and level >= 0.8:
        sentences.append(
            "Where one class is so frequent, always predicting it gives a high accuracy: "
            "--metric balanced_accuracy and --balanced show more."
        )
    return sentences


def _say_what_helps(records: Sequence[Record]) -> str:
    if all(record.engine == "solved" for record in records):  # by no epochs and no lr
        return "a linear model may be too simple: try --model mlp:64"
    return "it needs more --epochs, another --lr or a larger --model"


def _lower_lr(results: Results) -> str:
    lr = results.question.get("lr")
    how = f"--lr {lr / 10:g} in place of {lr:g}" if lr else "--lr"
    return f"lower the learning rate ({how}, into another --out)"


def _find_unpenalized(results: Results) -> Choice | None:
    return next((choice for choice in results.choices if choice.method == "none"), None)


def _is_level(choice: Choice, other: Choice) -> bool:
    """Whether two scores are equal in the digits that are shown."""
    return format_score(choice.validation_mean) == format_score(other.validation_mean)


def _collect_validation_scores(results: Results, choice: Choice) -> list[float]:
    """The validation scores of a choice, one per split, in their order."""
    records = results.records_of(choice)
    return [r.validation_score for r in records if r.validation_score is not None]


def _name_baseline(baseline: Baseline) -> str:
    if not baseline.answer:
        return baseline.name
    answer = baseline.answer
    answer = answer if len(answer) <= MOST_SHOWN else f"{answer[: MOST_SHOWN - 1]}…"
    return f"{baseline.name}, {answer!r}"


def _name_choice(choice: Choice) -> str:
    if choice.method == "none":
        return "no penalty"
    if parse_method(choice.method).strength is not None:
        return choice.method
    edge = f", the {choice.edge} tried" if choice.edge else ""
    return f"{choice.method} at {choice.strength:.2g}{edge}"
