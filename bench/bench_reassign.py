#!/usr/bin/env python3
"""Machine reassignment, set A of the Google/ROADEF challenge 2012, beside the best published costs.

    bench/bench_reassign.py BUILD-DIR [--seconds S] [--threads N] [--seed S] [NAME …]

The instances are read from $BERTH_DATA/reassignment; without it this says so and ends. The gap of an instance is
(cost − best) / initial cost, as the challenge scored; below 0 is better than what was published.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

# Of two solvers, 300 s or an hour.
BEST = {
    "a1_1": 44306501,
    "a1_2": 777531842,
    "a1_3": 583005719,
    "a1_4": 262086758,
    "a1_5": 727578310,
    "a2_1": 329,
    "a2_2": 746097632,
    "a2_3": 1210644572,
    "a2_4": 1680615349,
    "a2_5": 318358949,
}


def solve(build, data, name, options):
    command = [
        str(pathlib.Path(build) / "src/sim/berth-sim"),
        "reassign",
        *["--model", str(data / f"model_{name}.txt")],
        *["--initial", str(data / f"assignment_{name}.txt")],
        *["--seconds", str(options.seconds), "--threads", str(options.threads), "--seed", str(options.seed)],
        "--json",
    ]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(BEST))
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_intermixed_args()
    data = pathlib.Path(os.environ.get("BERTH_DATA", "/nonexistent")) / "reassignment"
    if not data.is_dir():
        print("skipped: BERTH_DATA names no folder with reassignment/")
        return 0
    print(f"{options.seconds:g} s, {options.threads} threads, seed {options.seed}", end="")
    print(f", load average {os.getloadavg()[0]:.1f} of {os.cpu_count()} CPUs")
    print(f"{'':6}{'initial':>14}{'cost':>14}{'best':>14}{'gap %':>9}{'moves/s':>12}")
    gaps = []
    for name in options.names or BEST:
        told = solve(options.build, data, name, options)
        initial, cost = told["initial"]["total"], told["cost"]["total"]
        gaps.append(100 * (cost - BEST[name]) / initial)
        rate = told["moves"] / told["seconds"]
        print(f"{name:6}{initial:14}{cost:14}{BEST[name]:14}{gaps[-1]:9.4f}{rate:12.0f}", flush=True)
    print(f"mean gap {sum(gaps) / len(gaps):.4f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
