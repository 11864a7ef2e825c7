#!/usr/bin/env python3
"""Vector bin packing on the Panigrahy set, beside what others reach on it.

    bench_pack.py BUILD-DIR --data DIR [--seconds S ...] [--every K] [--offset O] [--policy P ...] [--jobs N]

DIR holds Panigrahy_instances.tar.gz and Panigrahy_summary_known.csv (BERTH_DATA/vectorpack; not part of Berth); the
archive is read in place. Prints totals of bins, family by family and in all: the bound that berth-sim proved, the
optimum where it is known, the best of 275 published rules for each instance, and each method. Asserts nothing but
that no packing beats a bound or an optimum.
"""

import argparse
import collections
import csv
import json
import os
import subprocess
import sys
import tarfile
import tempfile


def summary(path):
    with open(path, newline="") as file:
        return {row["instance_name"]: row for row in csv.DictReader(file, delimiter="\t")}


def unpack(path, folder, every, offset):
    """The chosen instances by name, each as a file in `folder`."""
    with tarfile.open(path) as archive:
        members = sorted((m for m in archive if m.isfile() and m.name.endswith(".vbp")), key=lambda m: m.name)
        for member in members[offset::every]:
            name = os.path.basename(member.name).removesuffix(".vbp")
            with open(f"{folder}/{name}.vbp", "wb") as file:
                file.write(archive.extractfile(member).read())
            yield name


def pack(sim, folder, names, argv, jobs):
    """Runs berth-sim over the instances, split among `jobs` processes; answers by name."""
    running = []
    for job in range(jobs):
        files = [f"{folder}/{name}.vbp" for name in names[job::jobs]]
        if files:
            running.append(subprocess.Popen([sim, "pack", *argv, *files], stdout=subprocess.PIPE, text=True))
    answers = {}
    for process in running:
        for line in process.stdout:
            answer = json.loads(line)
            answers[os.path.basename(answer["file"]).removesuffix(".vbp")] = answer
        if process.wait() != 0:
            raise SystemExit(f"berth-sim pack {' '.join(argv)} fails")
    return answers


def check(name, row, answer):
    optimum = int(row["OPT"])
    if optimum > 0 and not answer["lower_bound"] <= optimum <= answer["bins"]:
        raise SystemExit(f"{name}: bound {answer['lower_bound']}, optimum {optimum}, bins {answer['bins']}")


def table(names, rows, runs):
    """A line for each family, for those whose optimum is known, and for all."""
    groups = collections.OrderedDict()
    for name in names:
        groups.setdefault(name.split("_")[0], []).append(name)
    groups["optimum known"] = [name for name in names if int(rows[name]["OPT"]) > 0]
    groups["all"] = names
    print(f"{'':<16}{'n':>6}{'bound':>9}{'optimum':>9}{'275 rules':>11}", *(f"{label:>18}" for label in runs), sep="")
    for group, members in groups.items():
        optima = [int(rows[name]["OPT"]) for name in members]
        bound = sum(max(run[name]["lower_bound"] for run in runs.values()) for name in members)
        rules = sum(int(rows[name]["best_overall"]) for name in members)
        optimum = sum(optima) if optima and min(optima) > 0 else "-"
        totals = [sum(run[name]["bins"] for name in members) for run in runs.values()]
        print(f"{group:<16}{len(members):>6}{bound:>9}{optimum:>9}{rules:>11}", *(f"{total:>18}" for total in totals),
              sep="", flush=True)
    for label, run in runs.items():
        proven = sum(run[name]["optimal"] for name in names)
        print(f"{label}: {sum(run[name]['seconds'] for name in names):.1f} s, {proven} of {len(names)} proven optimal")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--data", default=os.environ.get("BERTH_DATA") and f"{os.environ['BERTH_DATA']}/vectorpack")
    parser.add_argument("--seconds", nargs="*", default=["0.1", "1"])
    parser.add_argument("--policy", nargs="*", default=["ffd-sum", "fill-dot-dynamic"])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    archive = f"{options.data}/Panigrahy_instances.tar.gz"
    if options.data is None or not os.path.exists(archive):
        print("packing: skipped, for there is no Panigrahy set: name its folder with --data")
        return
    rows = summary(f"{options.data}/Panigrahy_summary_known.csv")
    with tempfile.TemporaryDirectory() as folder:
        names = list(unpack(archive, folder, options.every, options.offset))
        runs = {}
        for argv in [["--policy", p] for p in options.policy] + [["--improve", s] for s in options.seconds]:
            label = argv[1] if argv[0] == "--policy" else f"improve {argv[1]} s"
            runs[label] = pack(f"{options.build}/src/sim/berth-sim", folder, names, argv, options.jobs)
            for name in names:
                check(name, rows[name], runs[label][name])
        print(f"load average {os.getloadavg()[0]:.1f}, {options.jobs} at a time")
        table(names, rows, runs)


if __name__ == "__main__":
    sys.exit(main())
