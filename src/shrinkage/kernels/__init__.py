"""One pass over memory on a CPU: plain Python loops that Numba compiles when they are first used.

The loops take addresses and numbers, and change weights in place. Nothing here imports torch.
"""
