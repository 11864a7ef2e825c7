"""What `berth` says of placement to somebody who types wrong things: field, value and remedy, in one kind of units."""

import json

import pytest

from agent import Agent


@pytest.fixture(autouse=True)
def all_there(agents, catalog):
    pass


def run(manager, status, *arguments):
    done = manager.berth(*arguments)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout if status == 0 else done.stderr


@pytest.fixture(scope="module")
def gpu(manager, tmp_path_factory):
    """A host with two devices of seven slices."""
    devices = [{"id": f"gpu{i}", "model": "gpu/a100", "slices": 7} for i in (0, 1)]
    facts = {"address": "10.0.0.9", "devices": devices, "capacity": {"cpu": 8000, "memory": 16384, "disk": 100}}
    agent = Agent(manager, tmp_path_factory.mktemp("gpu") / "gpu", "gamma", facts).connect()
    yield agent
    agent.close()


def test_the_lectures_names_of_policies(manager, tmp_path):
    vm = ("vm", "create", "fit", "--size", "small", "--image", "demo")
    done = manager.berth(*vm, "--policy", "best-fit", "--dry-run", "--explain")
    assert done.returncode == 0 and "Policy most-free" in done.stdout, done
    assert "best-fit is taken for most-free" in done.stderr, done
    answer = manager.post("/v1/vms?dry-run=true&explain=true",
                          {"name": "fit", "size": "small", "image": "demo", "policy": "worst-fit"})
    assert answer.json["explanation"]["policy"] == "least-free", answer
    assert manager.berth("plan", "fit", "--size", "small", "--policy", "worst-fit").returncode == 0
    manifest = tmp_path / "fit.yaml"
    manifest.write_text("kind: vm\nname: fit\nspec: {size: small, image: demo, policy: worst-fit}\n")
    for _ in range(2):  # what is there already is the same
        done = manager.berth("apply", "-f", str(manifest), "--wait=20")
        assert done.returncode == 0 and "worst-fit is taken for least-free" in done.stderr, done
    assert json.loads(run(manager, 0, "vm", "show", "fit", "-o", "json"))["spec"]["policy"] == "least-free"
    run(manager, 0, "vm", "delete", "fit", "--wait=20")
    assert "one of: most-free" in run(manager, 2, *vm, "--policy", "tight-fit")


def score_of(manager, **asked):
    """By host, of those that fit."""
    answer = manager.post("/v1/vms?dry-run=true&explain=true", {"name": "fit", "size": "small", "image": "demo", **asked})
    assert answer.status == 200, answer
    return {host["host"]: host["score"] for host in answer.json["explanation"]["hosts"] if "score" in host}


def test_a_mix_of_policies(manager, tmp_path):
    weights = {"most-free": 2, "l2-diff": 3}
    high, low = score_of(manager, policy="most-free"), score_of(manager, policy="l2-diff")
    mixed = score_of(manager, policy="mix", **{"policy-weights": weights})
    assert mixed and mixed == pytest.approx({host: 2 * high[host] - 3 * low[host] for host in high})
    vm = ("vm", "create", "fit", "--size", "small", "--image", "demo")
    done = manager.berth(*vm, "--policy", "best-fit=2,l2-diff=3", "--dry-run", "--explain")
    assert "Policy l2-diff=3,most-free=2, asked for" in done.stdout, done
    manifest = tmp_path / "fit.yaml"
    manifest.write_text("kind: app\nname: fit\nspec: {size: small, image: demo, count: 1, policy: mix, "
                        "policy-weights: {most-free: 2, l2-diff: 3}}\n")
    for _ in range(2):
        assert manager.berth("apply", "-f", str(manifest), "--wait=20").returncode == 0
    assert "l2-diff=3,most-free=2" in run(manager, 0, "app", "show", "fit")
    member = json.loads(run(manager, 0, "vm", "show", "fit-1", "-o", "json"))["spec"]
    assert (member["policy"], member["policy-weights"]) == ("mix", weights)
    run(manager, 0, "app", "delete", "fit", "--wait=20")
    reservation = ("reservation", "create", "fit", "--size", "small", "--for", "1h", "--policy", "cosine=1,first-fit=1")
    run(manager, 0, *reservation)
    shown = json.loads(run(manager, 0, "reservation", "show", "fit", "-o", "json"))
    assert shown["policy-weights"] == {"cosine": 1, "first-fit": 1}
    run(manager, 0, "reservation", "delete", "fit")
    for policy, says in (("cosine=0", "(--policy: 'cosine=0'); write a mix as most-free=2,cosine=1"),
                         ("cosine=1,cosine=2", "weighed already (--policy: 'cosine=2')"),
                         ("cosine=1,,", "(--policy: '')"), ("mix", "say how much each policy weighs"),
                         ("fragmentation=1", "not a policy that a mix can weigh (--policy: 'fragmentation=1')"), ("mix=1", "not a policy that a mix")):
        assert says in run(manager, 2, *vm, "--policy", policy), policy
    assert "name one of the policies" in run(manager, 2, "plan", "fit", "--size", "small", "--policy", "mix")
    answer = manager.post("/v1/vms", {"name": "fit", "size": "small", "image": "demo", "policy-weights": {"cosine": 1}})
    assert answer.status == 400 and "weights are for the policy mix" in answer.error["message"], answer


@pytest.mark.parametrize("status, line, says", [
    (5, "host reserve alpha --cpu 2000", "(--cpu: '2000'); at most 8 cpu"),
    (5, "host reserve alpha --accelerator asic/tpu=1", "does not have so much (--accelerator: 'asic/tpu=1')"),
    (5, "reservation create r --cpu 1000 --memory 1GiB --for 1h", "lacks 992500m cpu (--cpu: '1000')"),
    (2, "reservation create r --cpu 1 --for 1h", "a VM cannot run without it (--memory: '0'); give some"),
    (2, "size create s --cpu 1 --memory 1GiB --accelerator a100=1", "(--accelerator: 'a100=1'); write it as gpu/a100=1"),
    (2, "reservation create r --for 1h", "(--size); give either a size or resources"),
    (2, "vm create v --size small --image demo --at-end stop", "(--for); say how long (--for), or leave out"),
    (2, "vm create v --size small --image demo --deadline +1h", "(--deadline: '+1h'); say how long it runs (--for)"),
    (2, "size create s --cpu 9999999 --memory 1", "(--cpu: '9999999'); between 0 and 1000000"),
    (2, "reservation create r --size small --for 4000d", "(--for: '4000d'); between 1s and 3650d"),
    (2, "rule create r near app/a app/b", "(--weight); give a weight"),
    (2, "token create --role tenant", "(--tenant)"),
    (2, "tenant create red --quota cpus=3", "(--quota: 'cpus=3')"),
    (2, "tenant create red --quota cpu=4,memory=x", "(--quota: 'memory=x')"),
    (2, "tenant rates set --cpu -1", "(--cpu: '-1'); write a number of credits from 0"),
    (2, "tenant rates set --accelerator a100=1", "(--accelerator: 'a100=1')"),
    (2, "tenant credit default -5", "write -- before a negative number"),
    (5, "vm create v --size small --image demo --host-label disk=nvme", "host label disk=nvme; leave it out"),
    (5, "vm create v --size small --image demo --for 1h --deadline +2h --host-label disk=nvme", "(--deadline: '+2h')"),
])
def test_what_is_wrong_is_told_as_it_was_typed(manager, status, line, says):
    text = run(manager, status, *line.split())
    assert says in text, text


@pytest.mark.parametrize("key", ["", "a b", "-a", "a" * 64])
def test_keys_of_labels(manager, key):
    for method, path, body, field in (
            ("POST", "/v1/vms", {"name": "v", "size": "small", "image": "demo", "labels": {key: "x"}}, "labels"),
            ("POST", "/v1/apps", {"name": "v", "size": "small", "image": "demo", "count": 1, "host-labels": {key: "x"}}, "host-labels"),
            ("POST", "/v1/reservations", {"name": "v", "size": "small", "duration-seconds": 60, "labels": {key: "x"}}, "labels"),
            ("PATCH", "/v1/hosts/alpha", {"labels": {key: "x"}}, "labels"),
            ("PUT", "/v1/levels", {"names": [key or "."]}, "names"),
            ("POST", "/v1/rules", {"name": "v", "kind": "apart", "subject": f"label/{key or ' '}=x"}, "subject")):
        answer = manager.call(method, path, body)
        assert answer.status == 400 and answer.error["field"].startswith(field) and answer.error["remedy"], answer
    text = run(manager, 2, "vm", "create", "v", "--size", "small", "--image", "demo", "--label", f"{key or '.'}=x")
    assert "--label" in text, text


def test_plans_are_summed_up(manager):
    assert run(manager, 0, "plan", "lose", "alpha") == "no VM is there\n"
    run(manager, 0, "vm", "create", "here", "--size", "small", "--image", "demo", "--host", "alpha", "--wait=20")
    text = run(manager, 0, "plan", "lose", "alpha")
    assert "the host is taken for lost" in text and text.endswith("1 of 1 VMs find no place\n"), text
    run(manager, 0, "vm", "delete", "here", "--wait=20")
    run(manager, 0, "host", "cordon", "beta")
    run(manager, 0, "vm", "create", "free", "--size", "small", "--image", "demo", "--wait=20")
    run(manager, 0, "host", "uncordon", "beta")
    text = run(manager, 0, "plan", "lose", "alpha")
    assert "free" in text and text.endswith("all VMs find a place\n"), text
    run(manager, 0, "vm", "delete", "free", "--wait=20")


def test_only_the_host_that_is_asked_for_matters(manager):
    run(manager, 0, "host", "cordon", "alpha")
    text = run(manager, 5, "vm", "create", "v", "--size", "small", "--image", "demo", "--host", "alpha")
    assert "the host is cordoned (--host: 'alpha')" in text, text
    run(manager, 0, "host", "uncordon", "alpha")


def test_a_quota_tells_what_was_asked(manager):
    run(manager, 0, "tenant", "create", "small-one", "--quota", "cpu=1")
    text = run(manager, 5, "app", "create", "a", "--size", "small", "--image", "demo", "-n", "4", "--tenant", "small-one")
    assert "of the 2 asked for 1 are missing (quota.cpu: '2')" in text, text
    run(manager, 0, "tenant", "delete", "small-one")


def test_a_manifest_names_the_line_of_what_the_manager_refuses(manager, tmp_path):
    manifest = tmp_path / "late.yaml"
    manifest.write_text("kind: reservation\nname: late\nspec:\n  size: small\n  duration-seconds: 60\n"
                        "  deadline: '2020-01-01T00:00:00Z'\n")
    text = run(manager, 2, "apply", "-f", str(manifest))
    assert f"{manifest}:6:3: this time is past (spec.deadline: '2020-01-01T00:00:00Z')" in text, text
    run(manager, 3, "reservation", "show", "late")


def test_devices(manager, gpu):
    run(manager, 0, "size", "create", "slice", "--cpu", "1", "--memory", "64MiB", "--accelerator", "gpu/a100=3")
    run(manager, 0, "size", "create", "tpu", "--cpu", "1", "--memory", "64MiB", "--accelerator", "asic/tpu")
    text = run(manager, 5, "vm", "create", "v", "--size", "tpu", "--image", "demo")
    assert "no host has asic/tpu (asic/tpu: '1'); take a size without it" in text, text
    run(manager, 0, "reservation", "create", "held", "--size", "slice", "-n", "2", "--for", "1h")
    text = run(manager, 0, "reservation", "show", "held")
    assert "DEVICES" in text and text.count("gpu0 (3)") == 2, text
    run(manager, 0, "reservation", "create", "plain", "--size", "small", "--for", "1h")
    assert "DEVICES" not in run(manager, 0, "reservation", "show", "plain")
    run(manager, 0, "size", "create", "two", "--cpu", "2", "--memory", "64MiB")
    text = run(manager, 5, "vm", "create", "v", "--size", "two", "--image", "demo", "--reservation", "plain")
    assert "(cpu: '2'); at most 500m cpu" in text, text
    run(manager, 0, "reservation", "delete", "held", "plain")
    run(manager, 0, "size", "delete", "slice", "tpu", "two")
