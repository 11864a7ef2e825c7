#!/usr/bin/env python3
"""How much of a GPU cluster each policy gives out, beside what was published.

    bench_replay.py BUILD-DIR --data DIR [--seeds N] [--policy P ...]

DIR holds openb_node_list_all_node.csv and openb_pod_list_default.csv (BERTH_DATA/openb; not part of Berth). Tasks arrive,
shuffled, until they have asked for as many devices as there are, and never leave; the mean of N seeds. The published
figures are of Weng et al., USENIX ATC 2023 (hosts with devices only, as here, seeds and ties of their own).
"""

import argparse
import json
import os
import subprocess
import sys

# Berth's policy, what its counterpart is called there, and its figure.
PUBLISHED = {
    "random": ("random", 86.30),
    "dot-product": ("dot product", 90.62),
    "least-free": ("best fit", 92.86),
    "first-fit": ("", None),
    "fragmentation": ("FGD", 95.23),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--data", default=os.environ.get("BERTH_DATA") and f"{os.environ['BERTH_DATA']}/openb")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--policy", nargs="*", default=list(PUBLISHED))
    options = parser.parse_args()
    hosts, trace = (f"{options.data}/openb_{name}.csv" for name in ("node_list_all_node", "pod_list_default"))
    if options.data is None or not (os.path.exists(hosts) and os.path.exists(trace)):
        print("replay: skipped, for there is no openb trace: name its folder with --data")
        return
    print(f"GPU allocation at 100 % arrival, mean of {options.seeds} seeds; load average {os.getloadavg()[0]:.1f}")
    print(f"{'':<16}{'all hosts':>12}{'with GPUs':>12}   published")
    for policy in options.policy:
        line = f"{policy:<16}"
        for more in [[], ["--only-device-hosts"]]:
            answer = subprocess.run(
                [f"{options.build}/src/sim/berth-sim", "replay", "--hosts", hosts, "--trace", trace, "--policy", policy,
                 "--arrival", "100%", "--seeds", str(options.seeds), "--json", *more],
                stdout=subprocess.PIPE, check=True, text=True).stdout
            line += f"{json.loads(answer)['gpu_percent']:>12.2f}"
        name, figure = PUBLISHED.get(policy, ("", None))
        print(line + (f"{figure:>12.2f} ({name})" if figure else ""), flush=True)


if __name__ == "__main__":
    sys.exit(main())
