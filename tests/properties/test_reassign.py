"""`berth-sim reassign` against a second implementation: cost and constraints computed from the files.

Small instances are made here, always; the reference instances of the Google/ROADEF challenge are judged too
where BERTH_DATA names the folder that has `reassignment/`. Run by Meson, or by hand:

    BERTH_SIM=build/src/sim/berth-sim python3 -m pytest tests/properties/test_reassign.py
"""

import json
import os
import pathlib
import random
import subprocess

import pytest
from reassignment import Model

SIM = os.environ["BERTH_SIM"]
DATA = pathlib.Path(os.environ.get("BERTH_DATA", "/nonexistent")) / "reassignment"
NAMES = [f"a{group}_{number}" for group in (1, 2) for number in range(1, 6)]


def numbers(*values):
    return " ".join(str(value) for value in values)


def make_instance(seed):
    """A random model and an initial assignment; the latter may break constraints."""
    r = random.Random(seed)
    n_resources, n_machines = r.randint(1, 4), r.randint(2, 8)
    n_services, n_processes = r.randint(8, 24), r.randint(0, 24)
    lines = [n_resources, *(numbers(r.randint(0, 1), r.choice([0, 1, 10])) for _ in range(n_resources)), n_machines]
    for m in range(n_machines):
        routes = [0 if other == m else r.randint(0, 3) for other in range(n_machines)]
        capacity = [r.randint(40, 160) for _ in range(n_resources)]
        safety = [r.randint(0, c) for c in capacity]
        lines.append(numbers(r.randint(0, 2), r.randint(0, 3), *capacity, *safety, *routes))
    lines.append(n_services)
    for _ in range(n_services):
        needs = [r.randrange(n_services)] if r.random() < 0.15 else []
        lines.append(numbers(r.choice([0, 0, 0, 1, 2]) if n_processes > 12 else 0, len(needs), *needs))
    lines.append(n_processes)
    for _ in range(n_processes):
        needs = [r.choice([0, 1, 3, 10, r.randint(0, 25)]) for _ in range(n_resources)]
        lines.append(numbers(r.randrange(n_services), *needs, r.randint(0, 9)))
    n_balances = r.randint(0, 2)
    lines.append(n_balances)
    for _ in range(n_balances):
        lines.append(numbers(r.randrange(n_resources), r.randrange(n_resources), r.randint(0, 3), r.randint(0, 9)))
    lines.append(numbers(r.randint(0, 1), r.randint(0, 3), r.randint(0, 2)))
    text = "\n".join(map(str, lines)) + "\n"
    return text, [r.randrange(n_machines) for _ in range(n_processes)]


def settle(model, assignment, seed):
    """Walks to an assignment that keeps the constraints, or gives up."""
    r = random.Random(seed)
    for _ in range(600):
        broken = model.broken(assignment, assignment)
        if not broken:
            return assignment
        other = list(assignment)
        other[r.randrange(len(other))] = r.randrange(len(model.machines))
        if len(model.broken(other, other)) <= len(broken):
            assignment = other
    return None


def run(model, initial, *arguments):
    return subprocess.run(
        [SIM, "reassign", "--model", model, "--initial", initial, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )


def judge(model_path, initial_path, out, *arguments):
    """Runs a search and holds what it says and writes against the files; returns the result."""
    model = Model(model_path.read_text())
    initial = [int(token) for token in initial_path.read_text().split()]
    done = run(model_path, initial_path, "--json", "--out", out, *arguments)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    found = [int(token) for token in out.read_text().split()]
    assert len(found) == len(initial)
    assert not model.broken(initial, found)
    assert told["initial"] == model.cost(initial, initial)
    assert told["cost"] == model.cost(initial, found)
    assert told["cost"]["total"] <= told["initial"]["total"]
    return told, found


def test_small_instances(tmp_path):
    model_path, initial_path, out = tmp_path / "model", tmp_path / "initial", tmp_path / "out"
    searched = better = refused = 0
    for seed in range(120):
        text, assignment = make_instance(seed)
        model = Model(text)
        model_path.write_text(text)
        broken = model.broken(assignment, assignment)
        initial_path.write_text(numbers(*assignment) + "\n")
        if broken:
            done = run(model_path, initial_path, "--iterations", "100", "--seconds", "0")
            assert done.returncode == 1
            assert any(f"breaks {name}: " in done.stderr for name in broken), done.stderr
            refused += 1
            assignment = settle(model, assignment, seed)
            if assignment is None:
                continue
            initial_path.write_text(numbers(*assignment) + "\n")
        told, _ = judge(model_path, initial_path, out, "--iterations", "20000", "--seconds", "0", "--threads", "2")
        searched += 1
        better += told["cost"]["total"] < told["initial"]["total"]
    assert refused > 10 and searched > 30 and better > 10


def test_a_seed_repeats_a_run(tmp_path):
    for seed in range(100):
        text, assignment = make_instance(seed)
        assignment = settle(Model(text), assignment, seed) if len(assignment) > 15 else None
        if assignment is not None:
            break
    (tmp_path / "model").write_text(text)
    (tmp_path / "initial").write_text(numbers(*assignment))
    arguments = ["--iterations", "5000", "--seconds", "0", "--threads", "2", "--seed", "9"]
    answers = [judge(tmp_path / "model", tmp_path / "initial", tmp_path / "out", *arguments)[1] for _ in range(2)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.skipif(not DATA.is_dir(), reason="BERTH_DATA names no folder with reassignment/")
def test_reference_instances(name, tmp_path):
    told, _ = judge(
        DATA / f"model_{name}.txt",
        DATA / f"assignment_{name}.txt",
        tmp_path / "out",
        *["--iterations", "400000", "--seconds", "0"],
    )
    assert told["cost"]["total"] < told["initial"]["total"]
