"""Settings that every test shares."""

import gc

import hypothesis
import torch

hypothesis.settings.register_profile("laws", deadline=None, max_examples=10)
hypothesis.settings.load_profile("laws")
torch.set_num_threads(1)

gc.set_threshold(100_000, 50, 50)  # what compiles makes many objects, and few cycles
