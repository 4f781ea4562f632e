"""torch's own layers by kind, for `isinstance`: torch has no public name for these families."""

from __future__ import annotations

from torch import nn

TRANSPOSED = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
CONVOLUTION = nn.Conv1d | nn.Conv2d | nn.Conv3d | TRANSPOSED
INSTANCE_NORM = nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d
BATCH_NORM = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm | INSTANCE_NORM
DROPOUT = (
    nn.Dropout
    | nn.Dropout1d
    | nn.Dropout2d
    | nn.Dropout3d
    | nn.AlphaDropout
    | nn.FeatureAlphaDropout
)
