"""How the cost of a step grows with the weights: draws `benchmarks/growth.svg`.

    python benchmarks/growth.py [--rounds 15] [--threads 2] [--largest 100000000]

Nanoseconds an entry of one AdamW step on one matrix of 10³ to 10⁸ entries: medians of interleaved
rounds (torch, ours, by hand, torch, ...). The largest needs 9 GB of memory.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from shrinkage import L1
from timing import LAM, Step, by_hand_autograd, by_hand_softshrink, inside, machine, plain, turns

PICTURE = Path(__file__).with_name("growth.svg")
NAME = "AdamW"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 70, 200, 50, 50
COLOURS = "#0072b2", "#d55e00", "#009e73", "#b07aa1"
STYLE = """
  text { font: 13px sans-serif; fill: #222 } .title { font-size: 15px; font-weight: 600 }
  .grid { stroke: #ddd } .line { fill: none; stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } }
"""


def contenders(model: nn.Module) -> dict[str, Step]:
    return {
        "L1 in the loss, by hand": by_hand_autograd(model, NAME),
        "softshrink, by hand": by_hand_softshrink(model, NAME),
        "L1 inside, proximal": inside(model, NAME, L1(LAM)),
        "torch fused, no penalty": plain(model, NAME),
    }


def costs(size: int, rounds: int) -> dict[str, float]:
    """Nanoseconds an entry of each."""
    model = nn.ParameterList([nn.Parameter(torch.randn(size // 100, 100))])
    steps = contenders(model)
    seconds = turns(list(steps.values()), rounds, max(1, min(200, 1_000_000 // size)))
    medians = (statistics.median(times) for times in zip(*seconds, strict=True))
    return {label: 1e9 * median / size for label, median in zip(steps, medians, strict=True)}


def draw(sizes: Sequence[int], series: Mapping[str, Sequence[float]], title: str) -> str:
    """Lines over logarithmic axes, each with its name at its end, for light and dark pages."""
    values = [value for line in series.values() for value in line]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    first, last = math.log10(sizes[0]), math.log10(sizes[-1])

    def x(size: float) -> float:
        return LEFT + (math.log10(size) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def parts() -> Iterator[str]:
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        yield f"<style>{STYLE}</style>"
        yield text(LEFT, 24, title, "start", ' class="title"')
        for power in range(low, high + 1):
            height = y(10.0**power)
            yield f'<path class="grid" d="M{LEFT} {height:.1f}H{WIDTH - RIGHT}"/>'
            yield text(LEFT - 8, height + 4, f"{10.0**power:g}", "end")
        for size in sizes:
            exponent = f'10<tspan dy="-5" font-size="10">{round(math.log10(size))}</tspan>'
            yield text(x(size), HEIGHT - BOTTOM + 22, exponent, "middle")
        yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "entries", "middle")
        places = apart([y(line[-1]) for line in series.values()])
        for (label, line), colour, place in zip(series.items(), COLOURS, places, strict=True):
            points = " ".join(
                f"{x(size):.1f},{y(value):.1f}" for size, value in zip(sizes, line, strict=True)
            )
            yield f'<polyline class="line" stroke="{colour}" points="{points}"/>'
            yield text(WIDTH - RIGHT + 10, place + 4, label, "start", f' style="fill: {colour}"')
        yield "</svg>\n"

    return "\n".join(parts())


def text(x: float, y: float, words: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{words}</text>'


def apart(heights: Sequence[float], least: float = 17.0) -> list[float]:
    """The heights, moved so that no two labels overlap and none leaves the picture."""
    places = list(heights)
    order = sorted(range(len(places)), key=places.__getitem__)
    for above, below in itertools.pairwise(order):
        places[below] = max(places[below], places[above] + least)
    over = max(0.0, max(places) - (HEIGHT - BOTTOM))
    return [place - over for place in places]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--largest", type=int, default=10**8)
    plan = parser.parse_args()
    torch.set_num_threads(plan.threads)
    torch.manual_seed(0)
    sizes = [10**power for power in range(3, round(math.log10(plan.largest)) + 1)]
    of = f"{plan.threads} thread{'s' if plan.threads > 1 else ''}"
    print(f"{machine()}, {of}\nNanoseconds an entry of one {NAME} step, by entries")
    found = []
    for size in sizes:
        found.append(costs(size, plan.rounds))
        if size == sizes[0]:
            print(f"{'':>10s}" + "".join(f"{label:>26s}" for label in found[0]))
        print(f"{size:>10d}" + "".join(f"{cost:26.2f}" for cost in found[-1].values()), flush=True)
    series = {label: [cost[label] for cost in found] for label in found[0]}
    PICTURE.write_text(draw(sizes, series, f"Nanoseconds an entry of one {NAME} step, {of}"))


if __name__ == "__main__":
    main()
