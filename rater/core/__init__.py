"""The rules.  Events go in, new state and outputs come out, and nothing else moves money or minutes.

Start at `apply`.  This package refuses to know I/O, clocks, randomness, floats and other packages.
"""
