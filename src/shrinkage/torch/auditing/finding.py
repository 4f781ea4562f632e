"""The class of findings, the titles of all of them, and phrases that their sentences share."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch.optim import Optimizer

from shrinkage.penalties import Penalty
from shrinkage.penalties.base import terms
from shrinkage.penalties.describing import construction
from shrinkage.torch.auditing.snapshot import AppliedPenalty, AuditedParameter, Snapshot

# Every finding by its slug; docs/audit.md says when each is found.
TITLES = {
    "in-no-optimizer": "a parameter in no optimizer",
    "held-twice": "a parameter held twice",
    "frozen-yet-moving": "a frozen parameter that moves",
    "decay-on-biases": "decay on biases and gains",
    "adaptive-decay": "decay divided by the gradient's size",
    "slow-decay": "decay slower than the run",
    "fast-decay": "decay faster than an epoch",
    "decay-lost-in-rounding": "decay lost in rounding",
    "scale-invariant-decay": "decay of weights whose scale has no effect",
    "bias-without-effect": "a bias without effect",
    "attached-elsewhere": "a regularizer attached to another optimizer",
    "penalized-twice": "a parameter penalized twice",
    "penalty-on-biases": "a penalty on biases and gains",
    "decay-twice": "decay twice",
    "decay-beside-penalty": "decay beside a penalty",
    "no-exact-zeros": "no exact zeros",
    "zero-denominator": "zeros in a denominator",
    "penalty-lost-in-rounding": "a penalty lost in rounding",
    "strength-scaled-by-momentum": "a strength scaled by momentum",
    "strength-not-clipped": "a strength that is not clipped",
    "tied-under-two-rules": "a tied parameter under two rules",
    "nothing-trained": "nothing is trained",
    "penalty-on-frozen": "a penalty on frozen parameters alone",
    "all-weights-zero": "every weight is zero",
    "whole-weight-zero": "a whole weight is zero",
    "penalty-before-parametrization": "a penalty before a parametrization",
    "penalty-at-each-backward": "a penalty that acts at each backward()",
    "average-without-zeros": "an average without zeros",
}
WRAPPER = textwrap.TextWrapper(
    width=100,
    initial_indent="  ",
    subsequent_indent="  ",
    break_long_words=False,
    break_on_hyphens=False,
)
Check = Callable[[Snapshot], "Iterator[Finding]"]
Item = TypeVar("Item")
Key = TypeVar("Key")


@dataclass(frozen=True)
class Finding:
    """Something unexpected that model, optimizer and regularizer do together."""

    slug: str  # a key of TITLES
    severity: str  # "warning": mend it or know why not; "note": good to know
    parameters: tuple[str, ...]
    sentence: str
    number: float  # the number in the sentence
    remedy: str  # Python over the names model, optimizer and regularizer

    @property
    def title(self) -> str:
        """A few words that are the same for every finding with this slug."""
        return TITLES[self.slug]

    @property
    def kind(self) -> str:
        """The title; an older name for it."""
        return self.title

    @property
    def headline(self) -> str:
        """ "warning: decay twice [decay-twice]"."""
        return f"{self.severity}: {self.title} [{self.slug}]"

    def __str__(self) -> str:
        remedy = (f"    {line}" for line in self.remedy.splitlines())
        return "\n".join([self.headline, WRAPPER.fill(self.sentence), *remedy])


def warning(
    slug: str, parameters: Iterable[AuditedParameter], sentence: str, number: float, remedy: str
) -> Finding:
    """A finding that should be mended."""
    return Finding(slug, "warning", names_of(parameters), sentence, number, remedy)


def note(
    slug: str, parameters: Iterable[AuditedParameter], sentence: str, number: float, remedy: str
) -> Finding:
    """A finding that is good to know."""
    return Finding(slug, "note", names_of(parameters), sentence, number, remedy)


def names_of(parameters: Iterable[AuditedParameter]) -> tuple[str, ...]:
    return tuple(audited.name for audited in parameters)


def sort_by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Warnings before notes, else in their order."""
    return tuple(sorted(findings, key=lambda finding: finding.severity == "note"))


def to_html_list(findings: Sequence[Finding]) -> str:
    """Findings for notebooks; nothing if there are none."""
    items = "".join(
        f"<li>{html.escape(each.headline)}<br>{html.escape(each.sentence)}"
        f"<pre>{html.escape(each.remedy)}</pre></li>"
        for each in findings
    )
    return f"<ul>{items}</ul>" if items else ""


def group_by(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """The items by their key, in the order in which the keys first appear."""
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def by_optimizer(
    parameters: Iterable[AuditedParameter],
) -> Iterable[tuple[Optimizer, list[AuditedParameter]]]:
    """Parameters that are held, by the first optimizer that holds them."""
    return group_by(parameters, lambda audited: audited.optimizer).items()


def by_regularizer(
    snapshot: Snapshot,
) -> Iterator[tuple[Optimizer, list[tuple[AuditedParameter, AppliedPenalty]]]]:
    """The optimizer and the held parameters with their penalties, for each regularizer."""
    pairs = (
        (audited, applied)
        for audited in snapshot.parameters
        if audited.held_by
        for applied in audited.penalties
    )
    for group in group_by(pairs, lambda pair: id(pair[1].bound)).values():
        yield group[0][0].optimizer, group


def enumerate_names(parameters: Sequence[AuditedParameter]) -> str:
    """All names, or the first three and how many more there are."""
    names = names_of(parameters)
    if len(names) <= 4:
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


def is_or_are(parameters: Sequence[AuditedParameter]) -> str:
    return "is" if len(parameters) == 1 else "are"


def name_own_decay(optimizer: Optimizer, parameters: Sequence[AuditedParameter]) -> str:
    """ "AdamW's weight_decay=0.01"."""
    decays = [each.decay for each in parameters if each.decay.strength]
    strengths = " or ".join(f"{c:g}" for c in sorted({decay.strength for decay in decays}))
    return f"{type(optimizer).__name__}'s {decays[0].name}={strengths}"


def name_all_decay(optimizer: Optimizer, audited: AuditedParameter) -> str:
    """The optimizer's own decay and the penalties that decay a parameter."""
    sources = [name_own_decay(optimizer, [audited])] if audited.decay.strength else []
    sources += [
        f"{construct(applied.written)} ({applied.how})"
        for applied in audited.penalties
        if applied.square
    ]
    return " with ".join(sources)


def construct(penalty: Penalty | None) -> str:
    """A penalty as it is written in Python, without the formula."""
    if penalty is None:
        return "None"
    return " + ".join(construction(term) for term in terms(penalty))


def construct_all(parameters: Sequence[AuditedParameter]) -> str:
    """Every penalty on these parameters, once."""
    written = (construct(applied.written) for each in parameters for applied in each.penalties)
    return " and ".join(dict.fromkeys(written))
