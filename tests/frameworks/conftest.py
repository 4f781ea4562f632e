"""What the frameworks need before they can be imported."""

import contextlib
import gc
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

OPERATORS = torch.library.Library("torchvision", "FRAGMENT")


def register_operators() -> None:
    """Let torchvision be imported where its compiled operators do not fit this torch.

    There is no build of it for every torch. Without its operators it fails while it is imported,
    for it tells torch more about two that torch does not know; and where it is installed, timm,
    transformers and torchmetrics import it. No test calls them.
    """
    torchvision = importlib.util.find_spec("torchvision")
    if torchvision is None or torchvision.origin is None:
        return
    with contextlib.suppress(OSError):
        for library in Path(torchvision.origin).parent.glob("_C*.so"):
            torch.ops.load_library(library)
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            OPERATORS.define(f"{name}(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor")


register_operators()


@pytest.fixture(scope="session")
def transformers() -> Any:
    """The package with what the tests take from it, which it imports when it is first asked."""
    pytest.importorskip("accelerate", reason="accelerate is not installed")  # for the Trainer
    package = pytest.importorskip("transformers", reason="transformers is not installed")
    assert package.Trainer
    assert package.GPT2LMHeadModel
    gc.collect()  # what earlier tests left would stay as well
    gc.freeze()  # accelerate collects after each training, over all that was imported
    return package
