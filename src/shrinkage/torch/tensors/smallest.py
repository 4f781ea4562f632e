"""The k smallest of many numbers in several pools, exactly k, without sorting them.

Non-negative floats are ordered as their bits are, read as whole numbers. So a histogram of the
upper bits says in which bin the k-th smallest lies; the few numbers in that bin are the only ones
whose lower bits are looked at. Of equal numbers the first ones are chosen. A pool may have a limit
on how many of its numbers may be chosen; then more are taken from the others. Where a pool is
spread over processes, its histograms are added up over them, and every process finds the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from shrinkage.torch.tensors.kinds import spread_of, sum_of_earlier_shards, sum_over_shards

TOP, BINS = 17, 1 << 14  # a bin is a float's bits above the TOP lower ones; as in the kernels
LOWER = ((8, 1 << 9), (0, 1 << 8))  # how the lower bits are looked at: shift and number of bins


class Pool(Protocol):
    """Numbers of which the smallest are wanted; only those of this process."""

    most: int  # at most so many of them may be chosen, over all processes
    is_full: bool  # set where that limit has kept some that are among the smallest

    @property
    def sharded_like(self) -> Tensor:
        """A tensor that is spread over processes as the pool is."""

    def histogram(self) -> Tensor:
        """How many numbers each of the BINS bins holds: int64, on the CPU."""

    def take_below(self, bin: int) -> Tensor:
        """Choose all numbers of lower bins; return the bits of those in the bin, on the CPU."""

    def take(self, mask: Tensor) -> None:
        """Choose those of what `take_below` returned where the mask is True; comes last."""


class _Level(NamedTuple):
    """Where the search is: for each pool its bin, and how many numbers lie below that bin."""

    bins: Tensor
    below: Tensor
    is_full: Tensor  # pools of which as many as allowed are chosen, whatever the others hold


def take_smallest(pools: Sequence[Pool], count: int) -> float:
    """Let the pools take the `count` smallest of all numbers, and return the largest of these.

    Exactly `count` are taken, or as many as the pools' limits allow; inf is returned where every
    pool has reached its limit.
    """
    most = torch.tensor([pool.most for pool in pools])
    count = min(count, int(most.sum()))
    none = torch.zeros(len(pools), dtype=torch.int64)
    start = _Level(none, none, none.bool())
    counts = torch.stack([pool.histogram() for pool in pools])
    level = _find_bins(_sum_up(counts, pools), start, most, count)
    candidates = [
        pool.take_below(bin) for pool, bin in zip(pools, level.bins.tolist(), strict=True)
    ]
    bits = torch.cat(candidates)
    owners = torch.repeat_interleave(
        torch.arange(len(pools)), torch.tensor([len(pool) for pool in candidates])
    )
    thresholds = level.bins
    is_open = torch.ones(len(bits), dtype=torch.bool)  # equal to the threshold as far as looked at
    is_chosen = ~is_open
    for shift, size in LOWER:
        digits = (bits >> shift) & (size - 1)
        places = owners[is_open] * size + digits[is_open]
        counts = torch.bincount(places, minlength=len(pools) * size).view(len(pools), size)
        level = _find_bins(_sum_up(counts, pools), level, most, count)
        bins = level.bins[owners]
        is_chosen |= is_open & (digits < bins)
        is_open &= digits == bins
        thresholds = thresholds * size + level.bins
    _take_ties_(pools, level, most, count, (is_chosen, is_open, owners))
    chosen_of_pools = torch.split(is_chosen, [len(bits_of_pool) for bits_of_pool in candidates])
    for pool, chosen, is_full in zip(pools, chosen_of_pools, level.is_full.tolist(), strict=True):
        pool.is_full = is_full
        pool.take(chosen)
    reached = thresholds[~level.is_full]
    if not len(reached):
        return float("inf")
    return float(reached[:1].to(torch.int32).view(torch.float32))


def _find_bins(counts: Tensor, last: _Level, most: Tensor, count: int) -> _Level:
    """Each pool's bin at one level, where the histograms are of numbers in its last bin."""
    sums = counts.cumsum(1) + last.below[:, None]  # up to each bin, that one included
    allowed = torch.minimum(sums, most[:, None])
    total = allowed[~last.is_full].sum(0) + most[last.is_full].sum()
    common = int((total < count).sum())
    common = min(common, counts.shape[1] - 1)
    before = sums[:, common - 1] if common else last.below
    is_full = last.is_full | (before >= most)
    own = (sums < most[:, None]).sum(1).clamp(max=counts.shape[1] - 1)
    bins = torch.where(is_full, own, common)
    below = torch.where(
        bins > 0, sums.gather(1, (bins - 1).clamp(min=0)[:, None])[:, 0], last.below
    )
    return _Level(bins, below, is_full)


def _take_ties_(
    pools: Sequence[Pool],
    level: _Level,
    most: Tensor,
    count: int,
    found: tuple[Tensor, Tensor, Tensor],
) -> None:
    """Of the numbers equal to the threshold take the first, until `count` are chosen."""
    is_chosen, is_open, owners = found
    left = count - int(torch.where(level.is_full, most, level.below).sum())
    equal = _sum_up(torch.bincount(owners[is_open], minlength=len(pools))[:, None], pools)[:, 0]
    room = torch.minimum(equal, most - level.below).clamp(min=0)
    for number, pool in enumerate(pools):
        wanted = int(room[number])
        if not level.is_full[number]:
            wanted = min(wanted, left)
            left -= wanted
        places = (is_open & (owners == number)).nonzero()[:, 0]
        if wanted < int(equal[number]):
            wanted -= sum_of_earlier_shards(len(places), pool.sharded_like)
        is_chosen[places[: max(wanted, 0)]] = True


def _sum_up(counts: Tensor, pools: Sequence[Pool]) -> Tensor:
    """Histograms over all processes, where pools are spread over them."""
    alike: dict[object, list[int]] = {}
    for number, pool in enumerate(pools):
        alike.setdefault(spread_of(pool.sharded_like), []).append(number)
    for spread, numbers in alike.items():
        if spread is not None:
            counts[numbers] = sum_over_shards(counts[numbers], pools[numbers[0]].sharded_like)
    return counts


def bits_of(numbers: Tensor) -> Tensor:
    """The bits of non-negative float32 numbers; those of NaN are above all others."""
    return numbers.contiguous().view(torch.int32).bitwise_and_(0x7FFFFFFF)
