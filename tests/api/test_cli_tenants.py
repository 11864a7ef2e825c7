"""Tenants, quotas, credits and tokens on the command line, against a real manager."""

import json

import pytest

from test_cli import all_there, run  # noqa: F401


def test_tenants(manager, tmp_path):
    """From a tenant's making to its end, as its administrator and as itself."""
    run(manager, 0, "tenant", "create", "blue", "--quota", "cpu=1,vms=3,gpu/a100=2", "--on-empty", "stop")
    run(manager, 4, "tenant", "create", "blue")
    run(manager, 0, "tenant", "rates", "set", "--cpu", "2", "--accelerator", "gpu/a100=2.5")
    assert "2.5" in run(manager, 0, "tenant", "rates", "show")
    vm = ("vm", "create", "web", "--size", "small", "--image", "demo", "--tenant", "blue", "--wait=20")
    text = run(manager, 5, *vm)
    assert "has 0 credits" in text and "berth tenant credit blue 1" in text, text
    run(manager, 0, "tenant", "credit", "blue", "12.5", "--note", "to begin with")
    run(manager, 0, "tenant", "credit", "--note", "too much", "--", "blue", "-2.5")
    run(manager, 0, *vm)
    assert "blue" in run(manager, 0, "vm", "list") and "Tenant" in run(manager, 0, "vm", "show", "web", "--tenant", "blue")
    assert "--tenant blue" in run(manager, 3, "vm", "show", "web")
    text = run(manager, 5, "app", "create", "shop", "--size", "small", "--image", "demo", "--count", "2", "--tenant", "blue")
    assert "may use 1 cpu and uses 500m: of the 1 asked for 500m are missing" in text, text
    rows = run(manager, 0, "quota", "set", "blue", "cpu=1500m", "gpu/a100=none")
    assert "1500m" in rows and "a100" not in rows
    quota = json.loads(run(manager, 0, "quota", "show", "blue", "-o", "json"))["spec"]["quota"]
    assert quota["cpu"] == 1500 and quota["vms"] == 3
    statement = run(manager, 0, "tenant", "statement", "blue", "--since", "1d")
    assert "credits: too much" in statement and "-2.5" in statement
    assert "balance: " in statement and "an hour of what runs now costs 1" in statement
    assert json.loads(run(manager, 0, "tenant", "statement", "blue", "-o", "json"))["account"]["credited"] == 10000000

    token = run(manager, 0, "token", "create", "--role", "tenant", "--tenant", "blue", "--expires", "1h").strip()
    own = tmp_path / "own.yaml"
    own.write_text(manager.context_file.read_text().replace(manager.token, token))
    as_tenant = ("--context", str(own))
    assert "web" in run(manager, 0, *as_tenant, "vm", "list")
    assert "role admin, operator or viewer" in run(manager, 8, *as_tenant, "host", "list")
    explained = run(manager, 0, *as_tenant, "vm", "explain", "web")
    fits = run(manager, 0, *as_tenant, "plan", "fit", "--size", "small")
    assert "*  1 host" in explained and "2 more of small" in fits and "1 on each of 2 hosts" in fits
    hosts = [host["spec"]["name"] for host in manager.get("/v1/hosts").json["items"]]
    assert hosts and not any(host in explained + fits for host in hosts), (hosts, explained, fits)
    run(manager, 8, *as_tenant, "tenant", "credit", "blue", "1000")
    run(manager, 8, *as_tenant, "vm", "list", "--tenant", "default")
    run(manager, 0, *as_tenant, "vm", "delete", "web", "--wait=20")
    run(manager, 0, "token", "revoke", token.split(".")[0])
    run(manager, 8, *as_tenant, "vm", "list")
    run(manager, 0, "tenant", "delete", "blue")
    run(manager, 0, "tenant", "rates", "set", "--cpu", "0")


def test_queue(manager):
    run(manager, 0, "tenant", "create", "teal", "--no-charge", "--weight", "2", "--max-priority", "600")
    assert "600" in run(manager, 0, "tenant", "show", "teal")
    run(manager, 0, "size", "create", "odd", "--cpu", "100m", "--memory", "64MiB", "--accelerator", "asic/odd=1")
    vm = ("vm", "create", "late", "--size", "odd", "--image", "demo", "--tenant", "teal", "--no-wait")
    run(manager, 5, *vm)
    assert "would wait in the queue" in run(manager, 0, *vm, "--queue", "--dry-run")
    run(manager, 0, *vm, "--queue-for", "2h", "--priority", "700")
    rows = run(manager, 0, "queue", "list")
    assert "late" in rows and "700" in rows and "asic/odd" in rows, rows
    shown = run(manager, 0, "queue", "show", "late", "--tenant", "teal")
    assert "Is refused" in shown and "in 1h" in shown or "in 2h" in shown, shown
    run(manager, 3, "queue", "show", "late")
    run(manager, 0, "queue", "remove", "late", "--tenant", "teal")
    run(manager, 3, "queue", "remove", "late", "--tenant", "teal")
    run(manager, 2, *vm, "--queue-for", "soon")
    run(manager, 2, *vm, "--priority", "1001")
    app = ("app", "create", "part", "--size", "odd", "--image", "demo", "--count", "2", "--no-preempt", "--no-wait")
    run(manager, 2, *app, "--partial", "3")
    run(manager, 5, *app, "--partial", "1")
    run(manager, 0, "size", "delete", "odd")
    run(manager, 0, "tenant", "delete", "teal")


@pytest.mark.parametrize("status, line", [
    (2, "tenant create Blue"), (2, "tenant create x --quota cpu"), (2, "tenant create x --quota cpu=4x"),
    (2, "tenant create x --quota vms=-1"), (2, "tenant create x --quota speed=3"), (2, "tenant create x --grace 5"),
    (2, "tenant create x --on-empty weep"), (2, "tenant credit default lots"), (2, "tenant credit default 0"),
    (2, "tenant credit default 0.0000001"), (3, "tenant statement nobody"), (2, "tenant statement default --since soon"),
    (3, "quota set nobody cpu=1"), (2, "quota set default cpu"), (2, "quota set default speed=none"),
    (2, "token create"), (2, "token create --role king"), (2, "token create --role tenant"),
    (2, "token create --role admin --tenant default"), (3, "token create --role viewer --tenant nobody"),
    (3, "token revoke nobody"), (3, "vm list --tenant nobody"), (2, "tenant rates set --cpu -1"),
    (4, "tenant delete default")])
def test_what_tenants_may_not_be(manager, status, line):
    text = run(manager, status, *line.split())
    assert text.startswith("berth: "), text


def test_apply_tenants(manager, tmp_path):
    manifest = tmp_path / "green.yaml"
    manifest.write_text("""
kind: app
name: shop
tenant: green
spec: {size: small, image: demo, count: 2, networks: [lan]}
---
kind: network
name: lan
tenant: green
---
kind: tenant
name: green
spec: {quota: {cpu: 1500m, memory: 4GiB}, charged: false, on-empty: stop}
""")
    assert "app shop: 2 of 2 VMs run" in run(manager, 0, "apply", "-f", str(manifest), "--wait=20")
    assert run(manager, 0, "apply", "-f", str(manifest)).count("= ") == 3
    manifest.write_text(manifest.read_text().replace("1500m", "2"))
    assert "quota.cpu: 1500m → 2" in run(manager, 0, "apply", "-f", str(manifest))
    quota = json.loads(run(manager, 0, "tenant", "show", "green", "-o", "json"))["spec"]["quota"]
    assert quota == {"cpu": 2000, "memory": 4096}
    manifest.write_text("kind: size\nname: s\ntenant: green\nspec: {resources: {cpu: 1, memory: 1GiB}}\n")
    assert ":3:1: " in run(manager, 2, "apply", "-f", str(manifest))
    run(manager, 0, "app", "delete", "shop", "--tenant", "green", "--wait=20")
    run(manager, 0, "network", "delete", "lan", "--tenant", "green")
    run(manager, 0, "tenant", "delete", "green")
