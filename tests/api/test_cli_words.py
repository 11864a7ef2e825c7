"""What `berth` says to somebody who is new to it: counts, names and amounts as people write them, and a remedy that fits."""

import subprocess

import pytest

from manager import BERTH
from test_cli import run


@pytest.fixture(autouse=True)
def all_there(agents, catalog):
    pass


def test_counts(manager):
    app = ("app", "create", "one", "--size", "small", "--image", "demo", "--count", "1")
    assert "a size of this name" in run(manager, 4, "size", "create", "small", "--cpu", "1", "--memory", "64MiB")
    run(manager, 0, *app, "--wait=20")
    assert "an app of this name" in run(manager, 4, *app)
    assert "1 VM still made of it" in run(manager, 4, "image", "delete", "demo")
    run(manager, 0, "reservation", "create", "night", "--size", "small", "--for", "1h")
    text = run(manager, 5, *app[:2], "two", *app[3:-1], "2", "--reservation", "night")
    assert "it has 1 free slot, and 2 are asked for (--reservation: 'night')" in text, text
    assert "(in 1h)" in run(manager, 0, "reservation", "show", "night")
    run(manager, 0, "reservation", "delete", "night")
    run(manager, 0, "app", "delete", "one", "--wait=20")


def test_amounts_are_those_that_were_given(manager):
    run(manager, 0, "size", "create", "huge", "--cpu", "100", "--memory", "64MiB")
    vm = ("vm", "create", "huge", "--size", "huge", "--image", "demo")
    text = run(manager, 5, *vm)
    assert "(cpu: '100')" in text and "not available" not in text, text
    run(manager, 0, "host", "cordon", "alpha")
    assert "(of 2 hosts, 1 is not available)" in run(manager, 5, *vm)
    run(manager, 0, "host", "uncordon", "alpha")
    text = run(manager, 2, "size", "create", "odd", "--cpu", "1", "--memory", "64MiB", "--vcpus", "4", "--max-vcpus", "2")
    assert "(--max-vcpus: '2'); at least 4" in text, text
    assert "(--cpu: '100')" in run(manager, 5, "host", "reserve", "alpha", "--cpu", "100")
    run(manager, 0, "size", "delete", "huge")


def test_a_vm_that_does_not_run(manager):
    run(manager, 0, "vm", "create", "asleep", "--size", "small", "--image", "demo", "--power", "off", "--wait=20")
    for command in (("vm", "exec", "asleep", "ls"), ("vm", "console", "asleep")):
        text = run(manager, 4, *command)
        assert "the VM does not run (vm: 'asleep'); start it first" in text, text
    text = run(manager, 0, "vm", "resize", "asleep", "--cpu", "250m", "--dry-run")
    assert "asleep would stay on " in text and text.endswith("\nnothing was done\n"), text
    run(manager, 0, "vm", "delete", "asleep", "--wait=20")


def test_a_guest_takes_its_time(manager, agents):
    run(manager, 0, "vm", "create", "slow", "--size", "small", "--image", "demo", "--wait=20")
    for agent in agents:
        agent.hold = True
    assert "waits until the guest has powered off" in run(manager, 0, "vm", "stop", "slow", "--no-wait")
    for agent in agents:
        agent.release()
    run(manager, 0, "vm", "delete", "slow", "--wait=20")


def test_how_many_vms(manager):
    app = ("app", "create", "some", "--size", "small", "--image", "demo")
    for extra in ((), ("--count", "2", "--cpu", "2")):
        assert "give --count, or a total such as --cpu 3" in run(manager, 2, *app, *extra)
    assert "use a token of role admin, operator or viewer" in manager.get(
        "/v1/hosts", token=manager.post("/v1/tokens", {"role": "tenant", "tenant": "default"}).json["token"]).error["remedy"]


def test_a_dry_run_says_what_it_does_not_try(manager, tmp_path):
    manifest = tmp_path / "new.yaml"
    manifest.write_text("kind: size\nname: fresh\nspec: {resources: {cpu: 1, memory: 64MiB}}\n---\n"
                        "kind: app\nname: fresh\nspec: {size: fresh, image: demo, count: 1}\n")
    assert "app fresh: not tried" in run(manager, 0, "apply", "-f", str(manifest), "--dry-run")
    run(manager, 3, "size", "show", "fresh")


def test_a_manifest_says_where_also_in_a_dry_run(manager, tmp_path):
    manifest = tmp_path / "app.yaml"
    manifest.write_text("kind: app\nname: none\nspec: {size: nosuch, image: demo, count: 1}\n")
    for extra in ((), ("--dry-run",)):
        assert f"{manifest}:3:8: there is no such size (spec.size: 'nosuch')" in run(manager, 3, "apply", "-f", str(manifest), *extra)


def test_what_waits_is_not_unknown(manager):
    run(manager, 0, "size", "create", "wide", "--cpu", "7", "--memory", "64MiB")
    run(manager, 0, "app", "create", "all", "--size", "wide", "--image", "demo", "--count", "2", "--wait=20")
    run(manager, 0, "vm", "create", "late", "--size", "wide", "--image", "demo", "--queue", "--no-wait")
    for verb in ("show", "delete"):
        text = run(manager, 3, "vm", verb, "late")
        assert "it waits for room: see 'berth queue show late'" in text, text
    run(manager, 0, "queue", "remove", "late")
    run(manager, 0, "app", "delete", "all", "--wait=20")
    run(manager, 0, "size", "delete", "wide")


def test_one_that_is_missing_does_not_keep_the_others(manager):
    for name in ("first", "last"):
        run(manager, 0, "size", "create", name, "--cpu", "1", "--memory", "64MiB")
    done = manager.berth("size", "delete", "first", "none", "last")
    assert done.returncode == 3 and done.stdout == "size first removed\nsize last removed\n", done
    assert "there is no such size (size: 'none')" in done.stderr


def test_nothing_to_set_is_refused(manager):
    for command in (("host", "reserve", "alpha"), ("tenant", "set", "default"), ("tenant", "rates", "set"),
                    ("vm", "set", "any"), ("vm", "resize", "any")):
        run(manager, 2, *command)


def test_a_reader_that_has_had_enough(manager):
    """As `berth … | head -1`: no complaint, and an end."""
    for command in ("--help", "-o yaml host list", "host list", "event list", "event follow --from 0"):
        reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
        reader.wait()
        done = subprocess.run([BERTH, "--context", manager.context_file, *command.split()],
                              stdout=reader.stdin, stderr=subprocess.PIPE, text=True, timeout=20)
        reader.stdin.close()
        assert done.stderr == "" and done.returncode in (0, -13), (command, done)
    with open("/dev/full", "w") as full:
        done = subprocess.run([BERTH, "--context", manager.context_file, "host", "list"], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == 1 and "cannot write the output" in done.stderr, done


def test_what_is_wrong_is_named_as_it_was_typed(manager):
    vm = ("vm", "create", "typed", "--size", "small", "--image", "demo", "--no-wait")
    for extra, named in (("--network none", "(--network: 'none')"), ("--for 9000d", "(--for: '9000d')"),
                         ("--priority 1001", "(--priority: '1001')"), ("--policy worst", "(--policy: 'worst')"),
                         ("--tenant nobody", "(--tenant: 'nobody')"),
                         ("--no-preempt --queue-for 9000d", "(--queue-for: '9000d')")):
        done = manager.berth(*vm, *extra.split())
        assert done.returncode != 0 and named in done.stderr, (extra, done.stderr)
    assert "(--size: 'none')" in run(manager, 3, "plan", "fit", "--size", "none")
    assert "(--valid: '900d')" in run(manager, 2, "host", "token", "create", "--valid", "900d")


def test_events_of_a_time_and_a_kind(manager):
    run(manager, 0, "vm", "create", "told", "--size", "small", "--image", "demo", "--wait=20")
    lines = run(manager, 0, "event", "list", "--kind", "vm.running", "--since", "1h", "--subject", "told").splitlines()
    assert len(lines) == 2 and "vm.running" in lines[1], lines
    assert "told" in run(manager, 0, "event", "list", "--kind", "vm", "--since", "2020-01-01T00:00:00Z")
    assert "told" not in run(manager, 0, "event", "list", "--since", "2100-01-01T00:00:00Z")
    assert "--since" in run(manager, 2, "event", "list", "--since", "lately")
    run(manager, 0, "vm", "delete", "told", "--wait=20")
