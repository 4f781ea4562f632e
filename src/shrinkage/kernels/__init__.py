"""One pass over memory on a CPU: plain Python loops that Numba compiles when they are first used.

Addresses and numbers in, weights changed in place; nothing here knows of torch.
"""
