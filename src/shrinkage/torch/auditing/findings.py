"""What an audit finds, and the words that findings share."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch.optim import Optimizer

from shrinkage.penalties import Penalty
from shrinkage.penalties.base import construction, terms
from shrinkage.torch.auditing.snapshot import Picture, Subject

WRAPPER = textwrap.TextWrapper(
    width=100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
)
Check = Callable[[Picture], "Iterator[Finding]"]


@dataclass(frozen=True)
class Finding:
    """Something that model, optimizer and regularizer do together and that few would expect."""

    kind: str
    severity: str  # "warning": mend it or know why not; "note": good to know
    parameters: tuple[str, ...]
    sentence: str
    number: float  # the one in the sentence that says how much
    remedy: str  # Python over the names model, optimizer and regularizer

    def __str__(self) -> str:
        said = WRAPPER.fill(f"{self.severity}: {self.sentence}")
        return "\n".join([said, *(f"    {line}" for line in self.remedy.splitlines())])


def first_warnings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Warnings before notes, else in their order."""
    return tuple(sorted(findings, key=lambda finding: finding.severity == "note"))


def as_html_list(findings: Sequence[Finding]) -> str:
    """Findings for notebooks; nothing if there are none."""
    items = "".join(
        f"<li>{html.escape(f'{one.severity}: {one.sentence}')}"
        f"<pre>{html.escape(one.remedy)}</pre></li>"
        for one in findings
    )
    return f"<ul>{items}</ul>" if items else ""


def listed(subjects: Sequence[Subject], most: int = 3) -> str:
    """The first names, and how many more."""
    names = [one.name for one in subjects]
    if len(names) <= most + 1:
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def own(optimizer: Optimizer, subjects: Sequence[Subject]) -> str:
    """ "AdamW's weight_decay=0.01"."""
    strengths = sorted({one.decay.strength for one in subjects if one.decay.strength})
    return f"{type(optimizer).__name__}'s weight_decay={' or '.join(f'{c:g}' for c in strengths)}"


def sources(optimizer: Optimizer, subject: Subject) -> str:
    """All that decays a parameter."""
    found = [own(optimizer, [subject])] if subject.decay.strength else []
    found += [f"{constructed(pull.written)} ({pull.how})" for pull in subject.pulls if pull.square]
    return " with ".join(found)


def names_of(subjects: Sequence[Subject]) -> tuple[str, ...]:
    return tuple(one.name for one in subjects)


def are(subjects: Sequence[Subject]) -> str:
    return "is" if len(subjects) == 1 else "are"


def constructed(penalty: Penalty | None) -> str:
    """A penalty as it is written in Python, without the formula."""
    if penalty is None:
        return "None"
    return " + ".join(construction(term) for term in terms(penalty))


def written(subjects: Sequence[Subject]) -> str:
    """Every penalty on them, once."""
    penalties = (constructed(pull.written) for one in subjects for pull in one.pulls)
    return " and ".join(dict.fromkeys(penalties))
