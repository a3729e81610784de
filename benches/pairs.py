#!/usr/bin/env python3
"""Is this build of the bench `acknowledge` slower than another one? Runs both in turns, so that whatever else the machine
does meets both alike, and prints the median of the ratios with its interval of at least 95 % (order statistics).

    python3 benches/pairs.py OLD NEW [PAIRS]

OLD and NEW are what `cargo bench --locked --no-run --bench acknowledge` names in the two checkouts. Run it from a folder
on a real disk, on a machine that does nothing else."""

import math
import re
import statistics
import subprocess
import sys


def rate(binary):
    """Durable acknowledgements a second."""
    told = subprocess.run([binary, "--rate"], capture_output=True, text=True, check=True).stdout
    return float(re.search(r"ours, durable.*?(\d+) /s", told).group(1))


def interval(values):
    """The narrowest interval around the median that holds it with 95 %, whatever the distribution is."""
    ordered, outside, rank = sorted(values), 0.0, 0
    while 2 * (outside + math.comb(len(ordered), rank) / 2 ** len(ordered)) <= 0.05:
        outside += math.comb(len(ordered), rank) / 2 ** len(ordered)
        rank += 1
    if rank == 0:
        sys.exit("too few pairs for an interval of 95 %: six at least")
    return ordered[rank - 1], ordered[-rank]


def main():
    old, new, pairs = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 15
    ratios = []
    for number in range(pairs):
        first, second = (old, new) if number % 2 else (new, old)
        measured = {first: rate(first), second: rate(second)}
        ratios.append(measured[new] / measured[old])
        print(f"{number + 1:3}  {measured[old]:8.0f} /s  {measured[new]:8.0f} /s  {ratios[-1]:.3f}", flush=True)
    low, high = interval(ratios)
    print(f"median {statistics.median(ratios):.3f}, interval {low:.3f} to {high:.3f}, {pairs} pairs")


main()
