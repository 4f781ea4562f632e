"""What the frameworks need before they can be imported."""

import importlib.util

import torch

# There is no CPU build of torchvision for every torch. Without its compiled operators, torchvision
# fails while it is imported, for it describes operators to torch that torch does not know; and
# where it is installed, timm, transformers and torchmetrics import it. No test calls them.
OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
if importlib.util.find_spec("torchvision") and not hasattr(torch.ops.torchvision, "nms"):
    for name in ("nms", "qnms"):
        OPERATORS.define(f"{name}(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor")
