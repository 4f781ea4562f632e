"""Records of laws that nobody measured, for pages."""

from __future__ import annotations


def law(optimizer: str, **given: object) -> dict[str, object]:
    """A record; what is not given is as in an optimizer that does what it says."""
    usual = {
        "law": "w ← (1 − lr·wd)·w",
        "objective": "solves J",
        "verdict": "as documented: so",
        "misfit": 1e-16,
        "also": "",
    }
    return {"optimizer": optimizer, **usual, **given}


LAWS = [
    law("lib.Right"),
    law("lib.Wrong", law="w ← w − lr", verdict="NOT as documented: else", misfit=0.2),
    law("lib.Silent", law="w ← w", verdict="", misfit=None, also="takes no weight_decay"),
]
