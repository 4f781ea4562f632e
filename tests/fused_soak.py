"""A soak of the optimizers with the penalty inside: parameters change while they are stepped.

    python tests/fused_soak.py [--steps 100000] [--seed 0]

Before each step something may happen to a parameter or to the optimizer: memory moves, gradients
are missing, a parameter is frozen, cast, laid out anew, put into one buffer with others, its state
is reloaded. All tensors lie in one buffer between canaries. Every step is held against torch's
optimizer with a Regularizer attached, in float64, where the same happens without memory moving.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor

import fused_twins as twins
from shrinkage import L1, ElasticNet, GroupLasso, Penalty

SHAPES: dict[str, tuple[int, ...]] = {"matrix": (6, 5), "vector": (7,), "kernels": (4, 3, 2, 2)}
CANARY = 0x5A
BAND = 256
SIZE = 1 << 18


class Arena:
    """Bytes in which tensors lie apart; all between them must stay as it is."""

    def __init__(self, size: int = SIZE) -> None:
        self.bytes = torch.full((size,), CANARY, dtype=torch.uint8)
        self.taken = torch.zeros(size, dtype=torch.bool)
        self.end = 0

    def put(self, values: Tensor) -> Tensor:
        """A tensor with these values and strides, in a place of its own."""
        start = self.end + BAND
        size = values.numel() * values.itemsize
        self.end = start + -(-size // 64) * 64
        self.taken[start : start + size] = True
        flat = self.bytes[start : start + size].view(values.dtype)
        return flat.as_strided(values.shape, values.stride()).copy_(values.detach())

    def is_whole(self) -> bool:
        return bool((self.bytes == CANARY).logical_or_(self.taken).all())


class Soak:
    """One optimizer in an arena, and its twin in none."""

    def __init__(self, kind: type[torch.optim.Optimizer], penalty: Penalty, dice: random.Random):
        options = {"lr": 1e-2, **({"momentum": 0.9} if kind is torch.optim.SGD else {})}
        self.dice, self.arena, self.steps = dice, Arena(), 0
        self.mine = twins.parameters(SHAPES, torch.float64)
        self.other = twins.parameters(SHAPES, torch.float64)
        self.one = twins.ours(self.mine, kind, options, penalty, "proximal")
        self.two = twins.twin(self.other, kind, options, penalty, "proximal")
        self.changes: list[Callable[[str], None]] = [
            *(self.move, self.clone, self.freeze, self.lay_out_anew, self.reload, self.gaps),
            *(self.cast_there_and_back, self.flatten, self.move_state, self.nothing),
        ]

    def step(self) -> None:
        name = self.dice.choice(list(SHAPES))
        self.dice.choice(self.changes)(name)
        drawn = torch.Generator().manual_seed(self.steps)
        missing = self.dice.choice([None, None, *SHAPES])
        for key, w in self.mine.items():
            gradient = torch.randn(w.shape, generator=drawn, dtype=torch.float64)
            gradient += self.other[key].detach()  # a pull to 0 keeps weights where they bend
            absent = missing == key or not w.requires_grad
            self.other[key].grad = None if absent else gradient
            w.grad = None if absent else self.laid_out(gradient, w)
        self.one.step()
        self.two.step()
        assert self.arena.is_whole(), f"stray write at step {self.steps}"
        twins.assert_same(self.mine, self.one, self.other, self.two, 1e-8)  # errors add up
        for key, w in self.mine.items():
            self.other[key].data.copy_(w.detach())
        self.steps += 1

    def laid_out(self, values: Tensor, like: Tensor) -> Tensor:
        """With the strides of its parameter mostly, and in the arena while there is room."""
        if self.arena.end > SIZE - 64 * BAND:
            self.arena = Arena()
            for w in self.mine.values():
                w.data = w.detach().clone()
        if self.dice.random() < 0.9 and like.untyped_storage().nbytes() >= like.numel() * 8:
            values = torch.empty_like(like).copy_(values)
        return self.arena.put(values)

    def nothing(self, name: str) -> None:
        pass

    def move(self, name: str) -> None:
        self.mine[name].data = self.arena.put(self.mine[name].detach().contiguous())

    def clone(self, name: str) -> None:
        self.mine[name].data = self.mine[name].detach().clone()

    def move_state(self, name: str) -> None:
        state = self.one.state[self.mine[name]]
        state.update({key: self.arena.put(value) for key, value in state.items()})

    def freeze(self, name: str) -> None:
        for model in (self.mine, self.other):
            model[name].requires_grad_(not model[name].requires_grad)

    def lay_out_anew(self, name: str) -> None:
        w = self.mine[name]
        w.data = w.detach().transpose(0, -1).contiguous().transpose(0, -1)

    def gaps(self, name: str) -> None:
        wide = torch.zeros(*SHAPES[name], 2, dtype=torch.float64)
        wide[..., 0] = self.mine[name].detach()
        self.mine[name].data = wide[..., 0]

    def cast_there_and_back(self, name: str) -> None:
        for model in (self.mine, self.other):
            model[name].data = model[name].detach().float().double()

    def flatten(self, name: str) -> None:
        sizes = [w.numel() for w in self.mine.values()]
        flat = self.arena.put(torch.cat([w.detach().flatten() for w in self.mine.values()]))
        for w, part in zip(self.mine.values(), flat.split(sizes), strict=True):
            w.data = part.view(w.shape)

    def reload(self, name: str) -> None:
        self.one.load_state_dict(deepcopy(self.one.state_dict()))


def soak(steps: int, seed: int) -> int:
    """Steps of both optimizers under three penalties; how many were made."""
    kinds = [
        (kind, penalty)
        for kind in (torch.optim.SGD, torch.optim.Adam)
        for penalty in (L1(1.0), GroupLasso(1.0), ElasticNet(1.0))
    ]
    made = 0
    for number, (kind, penalty) in enumerate(kinds):
        run = Soak(kind, penalty, random.Random(seed + number))
        for _ in range(-(-steps // len(kinds))):
            run.step()
        assert any((w == 0).any() for w in run.mine.values())
        made += run.steps
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{soak(given.steps, given.seed)} steps, no stray write, no wrong value")
