"""Settings that every test shares."""

import hypothesis
import torch

hypothesis.settings.register_profile("laws", deadline=None, max_examples=12)
hypothesis.settings.load_profile("laws")
torch.set_num_threads(1)
