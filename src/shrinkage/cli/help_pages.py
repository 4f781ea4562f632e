"""What the help of each command shows besides its options: examples, and words with a meaning."""

from __future__ import annotations

from typing import NamedTuple


class HelpPage(NamedTuple):
    """The end of a command's help."""

    examples: tuple[tuple[str, str], ...]  # a command line and what it is for
    words: tuple[str, ...]  # keys of `WORDS`


WORDS = {
    "method": "A penalty and the way in which it acts, such as l1@proximal.",
    "penalty": "A function of the weights, as text: a name, a colon and a strength, as in l1:1e-4. "
    "Penalties add up: l1:1e-4+l2:1e-3.",
    "lasso, ridge": "Other names of the penalties l1 and l2.",
    "way": "How a penalty reaches the weights: coupled, decoupled, proximal or loss.",
    "coupled": "The gradient of the penalty is added to that of the data loss.",
    "decoupled": "The weights are reduced outside the optimizer's own arithmetic, as in AdamW.",
    "proximal": "The weights are reduced after each step, so that zeros are exact.",
    "strength": "The factor of the penalty, lam: 0 is no penalty, and a larger one makes weights "
    "smaller.",
    "trial": "One training: of one method, at one strength, from one seed.",
    "seed": "A number from which the random split of the rows and the first weights are drawn.",
    "study": "All trials of one question, kept in one folder.",
    "regression": "Learning a number; classification is learning one of a few classes.",
    "validation": "The rows on which strengths and methods are chosen; none is trained on.",
    "test part": "The rows that are used once, to score what was chosen.",
    "shard": "One machine's share of the trials.",
    "recommended": "The model that the study's verdict names.",
    "selected": "An input is selected where a weight on it is not zero.",
    "stability": "In how many halves of the rows, drawn at random, an input is selected.",
    "one standard error": "A simpler model is as good as the best one, if its score is within "
    "the standard error of the best score.",
    "adaptive": "With a lower strength on the inputs that a first path found useful.",
    "weight_decay": "The argument of an optimizer that makes weights smaller at each step.",
    "law": "The formula for what weight_decay does to a weight in one step.",
    "lr": "The learning rate.",
    "lam": "The strength of a penalty.",
    "sparse": "With many weights that are exactly zero.",
    "spiral": "Points in the plane on several arms, one class on each arm.",
    "epoch": "One pass over all points.",
}

PAGES = {
    "compare": HelpPage(
        (
            (
                "shrinkage compare data.csv --target price --out prices",
                "Compare eight methods on a table of your own.",
            ),
            (
                "shrinkage compare digits --penalty lasso@proximal --penalty ridge@coupled",
                "Compare two methods, and no penalty, on a data set that comes with the library.",
            ),
        ),
        (
            *("method", "penalty", "lasso, ridge", "coupled", "decoupled", "proximal"),
            *("strength", "seed", "trial", "regression", "validation", "test part", "sparse"),
        ),
    ),
    "report": HelpPage(
        (
            ("shrinkage report shrinkage-study", "Write the page again, of the default folder."),
            ("shrinkage report prices", "See how far a study in the folder prices is."),
        ),
        ("study", "trial"),
    ),
    "merge": HelpPage(
        (
            (
                "shrinkage merge part-1 part-2 --out prices",
                "Join two shards of one study, and finish the study.",
            ),
            (
                "shrinkage merge part-* --out prices --data prices.csv",
                "The same, where the table is not at the place that the shards name.",
            ),
        ),
        ("shard", "study", "trial"),
    ),
    "path": HelpPage(
        (
            (
                "shrinkage path data.csv --target price --out inputs",
                "Which inputs of your own table matter, and how many are enough.",
            ),
            (
                "shrinkage path diabetes --model linear --penalty lasso --from sparse",
                "The classical path of the Lasso.",
            ),
        ),
        (
            *("penalty", "lasso, ridge", "strength", "selected", "stability", "adaptive"),
            *("one standard error", "regression"),
        ),
    ),
    "predict": HelpPage(
        (
            (
                "shrinkage predict prices new.csv --out predictions.csv",
                "Predict the rows of new.csv with the recommended model of the study in prices.",
            ),
            (
                "shrinkage predict prices new.csv --method lasso --strength 0.01",
                "The same with another model of the study.",
            ),
        ),
        ("study", "method", "strength", "recommended", "sparse"),
    ),
    "probe": HelpPage(
        (
            (
                "shrinkage probe torch.optim.SGD,momentum=0.9",
                "The law of one optimizer, with its options.",
            ),
            (
                "shrinkage probe --all --out laws.html",
                "The laws of all optimizers that are installed, as a page.",
            ),
        ),
        ("weight_decay", "law", "coupled", "decoupled"),
    ),
    "sandbox": HelpPage(
        (
            ("shrinkage sandbox --weights 1,-1.5", "Two weights under every way."),
            (
                "shrinkage sandbox --lr 0.5 --steps 20 --plot weights.html",
                "A higher learning rate, and the weights over the steps as a page.",
            ),
        ),
        ("way", "coupled", "decoupled", "proximal", "lam", "lr", "weight_decay"),
    ),
    "scratch": HelpPage(
        (
            (
                "shrinkage scratch --penalty none --penalty ridge:5e-4",
                "Train without a penalty and with L2, side by side.",
            ),
            (
                "shrinkage scratch --penalty lasso:1e-4@proximal --epochs 2000 --plot l1.html",
                "A shorter training with L1, whose zeros are exact.",
            ),
        ),
        ("spiral", "penalty", "lasso, ridge", "coupled", "proximal", "epoch", "lr"),
    ),
}
