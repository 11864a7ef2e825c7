#!/usr/bin/env python3
"""Machine reassignment, set A of the Google/ROADEF challenge 2012, beside the best published costs.

    bench/bench_reassign.py BUILD-DIR [--cpu-seconds S] [--threads N] [--seed S] [NAME …]
    bench/bench_reassign.py BUILD-DIR --made 100x1000 1000x20000 …

The instances are read from $BERTH_DATA/reassignment; without it this says so and ends. The gap of an instance is
(cost − best) / initial cost, as the challenge scored; below 0 is better than what was published.
The budget is processor time of each thread, so that figures of a busy machine mean something. Every answer is held
against the problem's definition (tests/properties/reassignment.py), constraints and cost.

With --made, instances of so many machines and processes are made from the seed instead: what is compared is the
rate of moves, which should hardly depend on the size, and what is left of the initial cost.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/properties"))

from reassignment import Model

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


def place_services(r, n_machines, n_processes):
    """The service of each process, and a machine: no two of a service on one."""
    service, machine, n_services = [], [], 0
    while len(service) < n_processes:
        size = min(r.choice([1, 1, 1, 2, 5, 25]), n_machines, n_processes - len(service))
        machine += r.sample(range(n_machines), size)
        service += [n_services] * size
        n_services += 1
    return service, machine, n_services


def service_lines(r, service, machine, n_services, location, neighbourhood):
    """Spreads and dependencies, of which the assignment keeps each."""
    places = [set() for _ in range(n_services)]
    near = [set() for _ in range(n_services)]
    for s, m in zip(service, machine):
        places[s].add(location[m])
        near[s].add(neighbourhood[m])
    for s in range(n_services):
        others = r.sample(range(n_services), min(4, n_services))
        needs = [other for other in others if other != s and near[s] <= near[other]]
        yield " ".join(map(str, [r.randint(0, len(places[s])), len(needs), *needs]))


def make_instance(n_machines, n_processes, seed):
    """The texts of a model and of an assignment that keeps its constraints: twelve resources, four of them transient,
    sizes over some powers of ten, machines about 85 % full, and rules that bind."""
    r = random.Random(seed)
    resources = range(12)
    location = [m % max(1, n_machines // 4) for m in range(n_machines)]
    neighbourhood = [place % 5 for place in location]
    service, machine, n_services = place_services(r, n_machines, n_processes)
    needs = [[int(10 ** r.uniform(0, 4)) for _ in resources] for _ in service]
    used = [[0 for _ in resources] for _ in location]
    for m, need in zip(machine, needs):
        used[m] = [a + b for a, b in zip(used[m], need)]
    mean = [sum(row[i] for row in used) / n_machines for i in resources]
    lines = [len(resources), *(f"{int(i in (2, 3, 6, 10))} 10" for i in resources), n_machines]
    for m in range(n_machines):
        capacity = [int(max(used[m][i], mean[i] * r.uniform(0.9, 1.5))) for i in resources]
        routes = [0 if other == m else 2 for other in range(n_machines)]
        safety = [int(c * 0.8) for c in capacity]
        lines.append(" ".join(map(str, [neighbourhood[m], location[m], *capacity, *safety, *routes])))
    lines.append(n_services)
    lines += service_lines(r, service, machine, n_services, location, neighbourhood)
    lines.append(n_processes)
    lines += (" ".join(map(str, [s, *need, 1])) for s, need in zip(service, needs))
    lines += ["0", "1 10 100"]
    return "\n".join(map(str, lines)) + "\n", " ".join(map(str, machine)) + "\n"


def check(model_path, initial_path, out, told):
    """Ends the program unless the answer keeps all constraints and costs what was told."""
    model = Model(model_path.read_text())
    initial, found = ([int(token) for token in path.read_text().split()] for path in (initial_path, out))
    broken = model.broken(initial, found)
    if broken or len(found) != len(initial) or model.cost(initial, found) != told["cost"]:
        sys.exit(f"{model_path}: a wrong answer: {broken or told['cost']}")


def solve(build, data, name, options):
    model, initial = data / f"model_{name}.txt", data / f"assignment_{name}.txt"
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        told = run(build, model, initial, out, options)
        check(model, initial, out, told)
    return told


def run(build, model, initial, out, options):
    command = [
        str(pathlib.Path(build) / "src/sim/berth-sim"),
        "reassign",
        *["--model", str(model), "--initial", str(initial), "--out", str(out)],
        *["--cpu-seconds", str(options.cpu_seconds), "--threads", str(options.threads), "--seed", str(options.seed)],
        "--json",
    ]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def bench_made(options):
    print(f"{'':12}{'initial':>18}{'cost %':>9}{'moves/s':>12}")
    for size in options.made:
        n_machines, n_processes = map(int, size.split("x"))
        model, assignment = make_instance(n_machines, n_processes, options.seed)
        with tempfile.TemporaryDirectory() as folder:
            data = pathlib.Path(folder)
            (data / "model_made.txt").write_text(model)
            (data / "assignment_made.txt").write_text(assignment)
            told = solve(options.build, data, "made", options)
        initial, cost = told["initial"]["total"], told["cost"]["total"]
        print(f"{size:12}{initial:18}{100 * cost / initial:9.3f}{told['moves'] / told['cpu_seconds']:12.0f}", flush=True)


def bench_published(options, data):
    print(f"{'':6}{'initial':>14}{'cost':>14}{'best':>14}{'gap %':>9}{'moves/s':>12}")
    gaps = []
    for name in options.names or BEST:
        told = solve(options.build, data, name, options)
        initial, cost = told["initial"]["total"], told["cost"]["total"]
        gaps.append(100 * (cost - BEST[name]) / initial)
        rate = told["moves"] / told["cpu_seconds"]
        print(f"{name:6}{initial:14}{cost:14}{BEST[name]:14}{gaps[-1]:9.4f}{rate:12.0f}", flush=True)
    print(f"mean gap {sum(gaps) / len(gaps):.4f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(BEST))
    parser.add_argument("--cpu-seconds", type=float, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--made", nargs="+", metavar="MACHINESxPROCESSES", help="instances made here instead")
    options = parser.parse_intermixed_args()
    data = pathlib.Path(os.environ.get("BERTH_DATA", "/nonexistent")) / "reassignment"
    if not options.made and not data.is_dir():
        print("skipped: BERTH_DATA names no folder with reassignment/")
        return 0
    print(f"{options.cpu_seconds:g} s of processor time, {options.threads} threads, seed {options.seed}", end="")
    print(f", load average {os.getloadavg()[0]:.1f} of {os.cpu_count()} CPUs")
    if options.made:
        bench_made(options)
    else:
        bench_published(options, data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
