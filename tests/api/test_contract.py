"""Every operation of the OpenAPI document is called well and badly; every answer is as the document says.

The manager fixture holds each answer against the document (contract.py); the tests below see to it that there
is an answer of each kind, and the last of them that nothing was left out.
"""

import base64
import json
import os
import threading
import time

import pytest

from agent import Agent, make_request
from conftest import KERNEL, image_of


def vm_of(name, **more):
    return {"name": name, "size": "small", "image": "demo"} | more


def refused(answer, code, field=None, value=None):
    """The answer is this error, and names what is at fault."""
    assert answer.json is not None and answer.error["code"] == code, answer
    assert field is None or answer.error["field"] == field, answer
    assert value is None or answer.error["value"] == value, answer
    return answer.error


# --- what needs no objects

def test_public(manager):
    for path in ("/v1/version", "/v1/openapi.json", "/v1/ca"):
        assert manager.get(path, token=False).status == 200
        refused(manager.get(path, token=False, colour="red"), "invalid", "colour")
    assert manager.get("/v1/version").json["api"] == "v1"
    assert manager.get("/v1/ca").body.decode() == manager.ca


def test_cluster(manager):
    for path in ("/v1/cluster", "/v1/metrics", "/v1/top"):
        assert manager.get(path).status == 200
        refused(manager.get(path, token=False), "unauthenticated", "Authorization")
        refused(manager.get(path, colour="red"), "invalid", "colour")
    assert manager.get("/v1/cluster").json["writable"] is True
    for line in manager.get("/v1/metrics").body.decode().splitlines():
        assert line.startswith("#") or len(line.split()) == 2, line


def test_unknown_path_and_method(manager):
    refused(manager.get("/v1/nothing"), "not-found", "path", "/v1/nothing")
    refused(manager.get("/"), "not-found", "path")
    connection = manager.connection()
    for path in {path for _, path, _ in manager.document.operations.values()}:
        declared = {m for m, p, _ in manager.document.operations.values() if p == path}
        for method in {"GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "BREW"} - declared:
            answer = manager.call(method, path.replace("{", "").replace("}", ""), connection=connection)
            assert answer.status == 405, (method, path, answer)
            assert set(answer.headers["Allow"].split(", ")) == declared
            refused(answer, "invalid", "method", method)


def test_every_operation_wants_a_token(manager):
    connection = manager.connection()
    for method, path, operation in manager.document.operations.values():
        if operation.get("security") != []:
            path = path.replace("{", "").replace("}", "")
            for token in (False, "0" * 48):
                answer = manager.call(method, path, token=token, connection=connection)
                refused(answer, "unauthenticated", "Authorization")


# --- objects

def test_join_tokens(manager):
    made = manager.post("/v1/join-tokens", {"uses": 2, "description": "for a test"})
    assert made.status == 201 and made.json["token"].count(".") == 2
    listed = [token for token in manager.get("/v1/join-tokens").json["items"] if token["id"] == made.json["id"]]
    assert listed and "token" not in listed[0] and "hash" not in listed[0]
    refused(manager.post("/v1/join-tokens", {"uses": 0}), "invalid", "uses", "0")
    refused(manager.get("/v1/join-tokens", limit=0), "invalid", "limit", "0")
    assert manager.delete(f"/v1/join-tokens/{made.json['id']}").json == {}
    refused(manager.delete(f"/v1/join-tokens/{made.json['id']}"), "not-found", "token", made.json["id"])


def test_join(manager, agents, tmp_path):
    csr = make_request(tmp_path / "key", "gamma")
    body = {"token": "x.y.z", "name": "gamma", "csr": csr}
    refused(manager.post("/v1/join", body, token=False), "unauthenticated", "token")
    token = manager.post("/v1/join-tokens", {"uses": 1}).json["token"]
    refused(manager.post("/v1/join", body | {"token": token, "csr": "none"}, token=False), "invalid", "csr")
    refused(manager.post("/v1/join", body | {"token": token, "name": "alpha"}, token=False), "exists", "name")
    assert manager.post("/v1/join", body | {"token": token}, token=False).status == 201, "a failure took a use"
    assert manager.delete("/v1/hosts/gamma").status == 200


def test_hosts(manager, agents):
    listed = manager.get("/v1/hosts").json["items"]
    assert {host["name"] for host in listed} >= {"alpha", "beta"}
    refused(manager.get("/v1/hosts", limit=1001), "invalid", "limit", "1001")
    host = manager.get("/v1/hosts/alpha").json
    assert host["status"]["state"] == "up" and host["id"] == agents[0].id
    assert {row["dimension"]: row["capacity"] for row in host["status"]["ledger"]}["cpu"] == 8000
    assert "alpha" in refused(manager.get("/v1/hosts/alpah"), "not-found", "host", "alpah")["remedy"]
    changed = manager.patch("/v1/hosts/alpha", {"cordoned": True, "reserve": {"cpu": 1000}})
    assert changed.json["spec"]["cordoned"] is True
    refused(manager.patch("/v1/hosts/alpha", {"cordoned": 1}), "invalid", "cordoned", "1")
    assert manager.patch("/v1/hosts/alpha", {"cordoned": False}).json["spec"]["cordoned"] is False


def test_the_last_label_can_be_removed(manager, agents):
    def labels(body):
        return manager.patch("/v1/hosts/beta", body).json["spec"].get("labels", {})
    assert labels({"labels": {"rack": "7", "disk": "ssd"}}) == {"rack": "7", "disk": "ssd"}
    assert labels({"cordoned": False}) == {"rack": "7", "disk": "ssd"}, "what is absent stays"
    assert labels({"labels": {"rack": "7"}}) == {"rack": "7"}
    assert labels({"labels": {}}) == {}


def test_drain_host(manager, tmp_path, catalog):
    with_room = Agent(manager, tmp_path / "drained", "drained").connect()
    assert manager.post("/v1/vms", {**vm_of("last"), "host": "drained"}, wait=20).json["state"] == "done"
    refused(manager.post("/v1/hosts/nobody/drain"), "not-found", "host")
    begun = manager.post("/v1/hosts/drained/drain")
    assert begun.status == 202 and "last" in begun.json["message"]
    assert manager.post("/v1/hosts/drained/drain").json["id"] == begun.json["id"]
    status = manager.get("/v1/hosts/drained").json["status"]
    assert (status["drain"], status["vms-left"]) == ("draining", 1)
    assert manager.delete("/v1/vms/last", wait=20).json["state"] == "done"
    assert manager.get(f"/v1/operations/{begun.json['id']}", wait=20).json["state"] == "done"
    assert manager.get("/v1/hosts/drained").json["status"]["drain"] == "drained"
    assert "host.drained" in [e["kind"] for e in manager.get("/v1/events", limit=1000).json["items"]]
    assert manager.patch("/v1/hosts/drained", {"cordoned": False}).json["status"].get("drain") is None
    assert manager.delete("/v1/hosts/drained").status == 200
    with_room.close()


def test_delete_host(manager, tmp_path):
    gone = Agent(manager, tmp_path / "gone", "gone").connect()
    refused(manager.delete("/v1/hosts/nobody"), "not-found", "host")
    answer = manager.delete("/v1/hosts/gone")
    assert answer.status == 200 and answer.json["state"] == "done"
    gone.close()


def test_plans(manager, tmp_path):
    host = Agent(manager, tmp_path / "planner", "planner").connect()
    assert manager.post("/v1/sizes", {"name": "planned", "resources": {"cpu": 100, "memory": 64}}).status == 201
    answer = manager.get("/v1/plans/fit", size="planned")
    assert answer.status == 200 and answer.json["count"] >= 0
    assert manager.get("/v1/plans/fit", size="planned", survive=1, policy="cosine").status == 200
    refused(manager.get("/v1/plans/fit"), "invalid", "size")
    refused(manager.get("/v1/plans/fit", size="planed"), "not-found", "size", "planed")
    lost = manager.get("/v1/plans/fit", size="planned", survive=100)
    assert lost.status == 200 and lost.json["count"] == 0 and "would have no place" in lost.json["refusal"]
    refused(manager.get("/v1/plans/fit", size="planned", survive=101), "invalid", "survive", "101")
    refused(manager.get("/v1/plans/fit", size="planned", app="nobody"), "not-found", "app")
    for question in ("lose", "drain"):
        refused(manager.get("/v1/plans/" + question, hosts="nobody"), "not-found", "host", "nobody")
        refused(manager.get("/v1/plans/" + question, hosts="rack=none"), "not-found", "hosts", "rack=none")
        refused(manager.get("/v1/plans/" + question, hosts="planner,nobody"), "not-found", "host", "nobody")
        assert manager.get("/v1/plans/" + question, hosts="planner").status == 200
        assert manager.get("/v1/plans/" + question, hosts="planner,planner").json == manager.get(
            "/v1/plans/" + question, hosts="planner").json
    assert manager.delete("/v1/sizes/planned").status == 200
    assert manager.delete("/v1/hosts/planner").status == 200
    host.close()


def test_rules(manager):
    rule = {"name": "tiny-apart", "kind": "apart", "subject": "app/tiny", "level": "rack"}
    assert manager.post("/v1/rules", rule, dry_run=True).status == 200
    refused(manager.get("/v1/rules/tiny-apart"), "not-found", "rule")
    made = manager.post("/v1/rules", rule)
    assert made.status == 201 and made.json["weight"] == 0
    refused(manager.post("/v1/rules", rule), "exists", "name", "tiny-apart")
    assert manager.get("/v1/rules/tiny-apart").json == made.json
    assert made.json in manager.get("/v1/rules").json["items"]
    for wrong, field in (
        ({"subject": "tiny"}, "subject"), ({"subject": "label/x"}, "subject"), ({"level": "planet"}, "level"),
        ({"skew": 2}, "skew"), ({"kind": "alone", "other": "app/x"}, "other"), ({"kind": "near"}, "weight"),
        ({"kind": "beside"}, "kind"), ({"weight": -1}, "weight"),
    ):
        refused(manager.post("/v1/rules", {**rule, "name": "wrong", **wrong}), "invalid", field)
    together = {"name": "tiny-together", "kind": "together", "subject": "app/tiny", "level": "host"}
    refused(manager.post("/v1/rules", together), "conflict", "rule", "tiny-together")
    assert manager.delete("/v1/rules/tiny-apart").status == 200
    refused(manager.delete("/v1/rules/tiny-apart"), "not-found", "rule")
    assert manager.post("/v1/rules", together).status == 201
    assert manager.delete("/v1/rules/tiny-together").status == 200


def test_queue(manager, catalog, tmp_path):
    host = Agent(manager, tmp_path / "queuer", "queuer").connect()
    manager.post("/v1/sizes", {"name": "vast", "resources": {"cpu": 100, "memory": 64, "accelerators": {"fpga/q": 1}}})
    vm = {"name": "patient", "size": "vast", "image": "demo"}
    refused(manager.post("/v1/vms", vm), "no-capacity")
    assert manager.post("/v1/vms", vm | {"queue": True}, dry_run=True).json["message"].startswith("would wait")
    asked = manager.post("/v1/vms", vm | {"queue": True, "priority": 600})
    assert asked.status == 202 and asked.json["state"] == "running" and "queue" in asked.json["message"]
    entry = manager.get("/v1/queue/patient").json
    assert entry["place"] == 1 and entry["priority"] == 600 and entry["operation"] == asked.json["id"]
    assert "fpga/q" in entry["reason"] and entry["kind"] == "vm"
    assert entry["id"] in [item["id"] for item in manager.get("/v1/queue", limit=1).json["items"]]
    app = {"name": "crowd", "size": "vast", "image": "demo", "count": 2, "queue-seconds": 3600}
    assert manager.post("/v1/apps", app).status == 202
    first = manager.get("/v1/queue", limit=1).json
    second = manager.get("/v1/queue", limit=1, after=first["next"]).json
    assert [item["name"] for item in first["items"] + second["items"]] == ["patient", "crowd"]
    refused(manager.post("/v1/apps", app), "exists", "name", "crowd")
    refused(manager.post("/v1/vms", vm | {"name": "x", "priority": 1001}), "invalid", "priority", "1001")
    refused(manager.post("/v1/vms", vm | {"name": "x", "queue-seconds": 0}), "invalid", "queue-seconds", "0")
    refused(manager.post("/v1/apps", app | {"name": "part", "partial": 3}), "invalid", "partial", "3")
    refused(manager.get("/v1/queue/nobody"), "not-found", "entry", "nobody")
    for name in ("patient", "crowd"):
        assert manager.delete("/v1/queue/" + name).json == {}
    refused(manager.delete("/v1/queue/patient"), "not-found", "entry", "patient")
    assert "queue" in manager.get(f"/v1/operations/{asked.json['id']}").json["error"]["message"]
    assert manager.delete("/v1/sizes/vast").status == 200
    host.close()
    assert manager.delete("/v1/hosts/queuer").status == 200


def test_reservations(manager, tmp_path):
    host = Agent(manager, tmp_path / "timed", "timed").connect()
    wanted = {"name": "night", "resources": {"cpu": 100, "memory": 64}, "duration-seconds": 3600, "start": "+1h"}
    wanted["host-labels"] = {"held": "here"}  # on one host, so that it cannot go elsewhere
    assert manager.patch("/v1/hosts/timed", {"labels": {"held": "here"}}).status == 200
    assert manager.post("/v1/reservations", wanted, dry_run=True, explain=True).json["explanation"]["hosts"]
    refused(manager.get("/v1/reservations/night"), "not-found", "reservation")
    made = manager.post("/v1/reservations", wanted)
    assert made.status == 201 and made.json["state"] == "planned", made.json
    assert made.json["end-ms"] - made.json["start-ms"] == 3600000 and len(made.json["slots"]) == 1
    refused(manager.post("/v1/reservations", wanted), "exists", "name", "night")
    assert manager.get("/v1/reservations/night").json == made.json
    assert made.json in manager.get("/v1/reservations").json["items"]
    for wrong, field in (
        ({"duration-seconds": 0}, "duration-seconds"), ({"deadline": "2020-01-01T00:00:00Z"}, "deadline"),
        ({"start": "2020-01-01T00:00:00Z"}, "start"), ({"start": "tomorrow"}, "start"), ({"start": "+2x"}, "start"),
        ({"deadline": "+90m"}, "deadline"), ({"count": 0}, "count"), ({"size": "tiny"}, "size"),
        ({"resources": {}}, "resources.cpu"), ({"resources": {"cpu": 100}}, "resources.memory"),
        ({"at-end": "explode"}, "at-end"), ({"grace-seconds": -1}, "grace-seconds"),
    ):
        refused(manager.post("/v1/reservations", {**wanted, "name": "wrong", **wrong}), "invalid", field)
    huge = {**wanted, "name": "huge", "resources": {"cpu": 10**9, "memory": 64}}
    refused(manager.post("/v1/reservations", huge), "no-capacity", "cpu")
    held = made.json["slots"][0]["host-name"]
    refused(manager.delete("/v1/hosts/" + held), "conflict", "host", held)
    assert manager.delete("/v1/reservations/night").status == 200
    refused(manager.delete("/v1/reservations/night"), "not-found", "reservation")
    assert manager.delete("/v1/hosts/timed").status == 200
    host.close()


def test_sizes(manager):
    size = {"name": "tiny", "resources": {"cpu": 100, "memory": 64, "accelerators": {"gpu/a100": 1}}}
    assert manager.post("/v1/sizes", size, dry_run=True).status == 200
    refused(manager.get("/v1/sizes/tiny"), "not-found", "size")
    made = manager.post("/v1/sizes", size)
    assert made.status == 201 and made.json["vcpus"] == 1
    refused(manager.post("/v1/sizes", size), "exists", "name", "tiny")
    refused(manager.post("/v1/sizes", {"name": "none", "resources": {}}), "invalid", "resources.cpu", "0")
    assert manager.get("/v1/sizes/tiny").json == made.json
    assert made.json in manager.get("/v1/sizes").json["items"]
    refused(manager.get("/v1/sizes", limit="many"), "invalid", "limit", "many")
    assert manager.delete("/v1/sizes/tiny").status == 200
    refused(manager.delete("/v1/sizes/tiny"), "not-found", "size")


def test_networks(manager):
    assert manager.post("/v1/networks", {"name": "green"}, dry_run=True).status == 200
    refused(manager.get("/v1/networks/green"), "not-found", "network")
    made = manager.post("/v1/networks", {"name": "green", "subnet": "10.9.0.0/24"})
    assert made.status == 201 and made.json["gateway"].startswith("10.9.0.")
    refused(manager.post("/v1/networks", {"name": "red", "subnet": "10.9.0.0/99"}), "invalid", "subnet", "10.9.0.0/99")
    refused(manager.post("/v1/networks", {"name": "red", "kind": "token-ring"}), "invalid", "kind", "token-ring")
    assert manager.get("/v1/networks/green").json == made.json
    assert made.json in manager.get("/v1/networks").json["items"]
    refused(manager.get("/v1/networks", page=2), "invalid", "page")
    assert manager.delete("/v1/networks/green").status == 200
    refused(manager.delete("/v1/networks/green"), "not-found", "network")


def test_images(manager, catalog):
    content = b"\x7fELF" + os.urandom(100_000)
    image = image_of("random", content)
    sha256 = image["files"][0]["sha256"]
    assert manager.post("/v1/images", image, dry_run=True).status == 200
    refused(manager.get("/v1/images/random"), "not-found", "image")
    assert manager.post("/v1/images", image).json["state"] == "waiting"
    refused(manager.post("/v1/images", image_of("random")), "exists", "name", "random")
    refused(manager.get(f"/v1/blobs/{sha256}"), "not-found", "sha256", sha256)
    path = f"/v1/images/random/files/{sha256}"
    refused(manager.put(path, content[:-1] + bytes([content[-1] ^ 1])), "invalid", "sha256", sha256)
    refused(manager.put("/v1/images/random/files/" + "0" * 64, content), "not-found", "sha256", "0" * 64)
    assert manager.put(path, content).json["state"] == "ready"
    assert manager.get(f"/v1/blobs/{sha256}").body == content
    assert manager.get("/v1/images/random").json["received"] == [sha256]
    assert len(manager.get("/v1/images").json["items"]) == 2
    refused(manager.get("/v1/images", limit=-1), "invalid", "limit", "-1")
    assert manager.delete("/v1/images/random").status == 200
    refused(manager.delete("/v1/images/random"), "not-found", "image")
    refused(manager.get(f"/v1/blobs/{sha256}"), "not-found", "sha256", sha256)


# --- VMs and apps

def names_of(explanation):
    return [host["host"] for host in explanation["hosts"]]


def test_a_vm_from_create_to_delete(manager, agents, catalog):
    plan = manager.post("/v1/vms", vm_of("web"), dry_run=True, explain=True)
    assert plan.status == 200 and plan.json["dry-run"] and len(plan.json["plan"]) == 1
    assert plan.json["plan"][0]["host"] == plan.json["explanation"]["hosts"][0]["host"]
    assert manager.get("/v1/vms").json["items"] == []

    done = manager.post("/v1/vms", vm_of("web", networks=["blue"]), wait=20, explain=True)
    assert done.status == 200 and done.json["state"] == "done"
    assert sorted(names_of(done.json["explanation"])) == ["alpha", "beta"]
    vm = manager.get("/v1/vms/web").json
    assert vm["status"]["power"] == "running" and vm["placement"]["nics"][0]["ipv4"]
    assert manager.get("/v1/vms", host=vm["placement"]["host"]).json["items"] == [vm]
    refused(manager.get("/v1/vms", host="nowhere"), "not-found", "host", "nowhere")
    assert sum(host["chosen"] for host in manager.get("/v1/vms/web/explain").json["hosts"]) == 1
    refused(manager.get("/v1/vms/wbe/explain"), "not-found", "vm")

    refused(manager.post("/v1/vms", vm_of("web")), "exists", "name", "web")
    refused(manager.patch("/v1/vms/web", {"power": "sideways"}), "invalid", "power", "sideways")
    answer = manager.post("/v1/vms/web/exec", {"argv": ["echo", "hello"]})
    assert answer.status == 200 and base64.b64decode(answer.json["out"]) == b"hello\n"
    assert manager.patch("/v1/vms/web", {"power": "off"}, dry_run=True).json["dry-run"]
    assert manager.patch("/v1/vms/web", {"power": "off"}, wait=20).json["state"] == "done"
    assert manager.get("/v1/vms/web").json["status"]["power"] == "off"
    assert manager.post("/v1/vms/web/resize", {"memory": 128}, wait=20).json["state"] == "done"
    assert manager.get("/v1/vms/web").json["spec"]["resources"]["memory"] == 128
    refused(manager.post("/v1/vms/web/resize", {"memory": 257}), "invalid", "memory", "257")

    refused(manager.post("/v1/vms/web/exec", {"argv": ["echo", "hello"]}), "conflict", "vm", "web")
    refused(manager.post("/v1/vms/web/exec", {"argv": []}), "invalid", "argv")
    refused(manager.delete("/v1/networks/blue"), "conflict", "network")
    refused(manager.delete("/v1/images/demo"), "conflict", "image")
    assert manager.delete("/v1/vms/web", wait=20).json["state"] == "done"
    refused(manager.get("/v1/vms/web"), "not-found", "vm")
    refused(manager.delete("/v1/vms/web"), "not-found", "vm")


def test_console(manager, agents, catalog):
    manager.post("/v1/vms", vm_of("talk"), wait=20)
    with manager.tls_socket() as connection:
        connection.sendall((f"GET /v1/vms/talk/console HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                            f"Connection: Upgrade\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
                            f"Sec-WebSocket-Version: 13\r\nAuthorization: Bearer {manager.token}\r\n\r\n").encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 101 ")
    manager.recorder.good["openConsole"] += 1
    refused(manager.get("/v1/vms/talk/console"), "invalid", "Upgrade")
    refused(manager.get("/v1/vms/tlak/console"), "not-found", "vm")
    manager.delete("/v1/vms/talk", wait=20)


def test_quarantine(manager, agents, catalog):
    """VMs that the store does not know are adopted with their assignment, or purged."""
    manager.post("/v1/vms", vm_of("model"), wait=20)
    host = agents[0] if agents[0].vms else agents[1]
    assignment = [p for method, p in host.calls if method == "vm.apply" and p["name"] == "model"][-1]
    status = host.vms[assignment["id"]]["status"]
    manager.delete("/v1/vms/model", wait=20)
    ids = [f"01J{n:023d}" for n in (1, 2)]
    host.stray = [{"id": ids[0], "name": "found", "status": status,
                   "assignment": assignment | {"id": ids[0], "name": "found"}},
                  {"id": ids[1], "name": "lost", "status": status}]
    host.report()
    held = manager.get(f"/v1/hosts/{host.name}").json["status"]["quarantined"]
    assert {vm["id"] for vm in held} == set(ids)
    refused(manager.post(f"/v1/vms/{ids[1]}/adopt"), "conflict", "vm", ids[1])
    assert manager.post(f"/v1/vms/{ids[1]}/purge").json["state"] == "done"
    refused(manager.post("/v1/vms/nothing/purge"), "not-found", "vm", "nothing")
    operation = manager.post(f"/v1/vms/{ids[0]}/adopt")
    assert operation.status == 202
    host.stray = []
    assert manager.wait(operation.json)["state"] == "done"
    assert manager.get("/v1/vms/found").json["id"] == ids[0]
    manager.delete("/v1/vms/found", wait=20)


def test_an_app_from_create_to_delete(manager, agents, catalog):
    web = {"name": "web", "size": "small", "count": 3, "image": "demo"}
    plan = manager.post("/v1/apps", web, dry_run=True, explain=True).json
    assert [vm["name"] for vm in plan["plan"]] == ["web-1", "web-2", "web-3"]
    assert {vm["host"] for vm in plan["plan"]} == {"alpha", "beta"}, "most-free spreads"
    assert sorted(names_of(plan["explanation"])) == ["alpha", "beta"]
    assert manager.get("/v1/apps").json["items"] == []

    done = manager.post("/v1/apps", web, wait=20, explain=True)
    assert done.status == 200 and done.json["state"] == "done"
    assert [(vm["name"], vm["host"]) for vm in done.json["plan"]] == [(vm["name"], vm["host"]) for vm in plan["plan"]]
    assert "plan" not in manager.post("/v1/apps", web | {"name": "quiet", "count": 0}, wait=20).json
    assert sorted(names_of(done.json["explanation"])) == ["alpha", "beta"]
    there = {vm["name"]: vm["placement"]["host-name"] for vm in manager.get("/v1/vms", app="web").json["items"]}
    assert there == {vm["name"]: vm["host"] for vm in done.json["plan"]}
    assert manager.get("/v1/apps/web").json["status"] == {"vms": 3, "running": 3}
    refused(manager.get("/v1/vms", app="wbe"), "not-found", "app")
    refused(manager.get("/v1/apps/wbe"), "not-found", "app", "wbe")
    refused(manager.get("/v1/apps", limit=0), "invalid", "limit")
    refused(manager.post("/v1/apps", web), "exists", "name", "web")
    refused(manager.post("/v1/apps", web | {"name": "both", "total": {"cpu": 1}}), "invalid", "count")
    too_many = manager.post("/v1/apps", web | {"name": "huge", "count": 1000}, explain=True)
    assert sorted(names_of(refused(too_many, "no-capacity")["explanation"])) == ["alpha", "beta"]

    plan = manager.patch("/v1/apps/web", {"count": 5}, dry_run=True).json
    assert [vm["name"] for vm in plan["plan"]] == ["web-4", "web-5"]
    more = manager.patch("/v1/apps/web", {"count": 4}, wait=20, explain=True).json
    assert more["state"] == "done" and [vm["name"] for vm in more["plan"]] == ["web-4"]
    refused(manager.patch("/v1/apps/web", {"count": -1}), "invalid", "count", "-1")
    fewer = manager.patch("/v1/apps/web", {"count": 1}, wait=20).json
    assert fewer["state"] == "done" and "plan" not in fewer
    for name in ("web", "quiet"):
        assert manager.delete(f"/v1/apps/{name}", wait=20).json["state"] == "done"
    refused(manager.delete("/v1/apps/web"), "not-found", "app")


# --- how answers behave

def test_operations_and_wait(manager, agents, catalog):
    for agent in agents:
        agent.hold = True
    begun = manager.post("/v1/vms", vm_of("slow"))
    assert begun.status == 202 and begun.json["state"] == "running"
    path = f"/v1/operations/{begun.json['id']}"
    before = time.monotonic()
    assert manager.get(path, wait=1).json["state"] == "running"
    assert time.monotonic() - before >= 0.9, "it waits as long as it is told"
    assert manager.post("/v1/vms/slow/resize", {"memory": 200}, wait=1).status == 202
    threading.Timer(0.3, lambda: [agent.release() for agent in agents]).start()
    over = manager.get(path, wait=20)
    assert over.json["state"] == "done" and over.json["finished-ms"] >= over.json["created-ms"]
    assert over.json["id"] in [o["id"] for o in manager.get("/v1/operations", limit=1000).json["items"]]
    refused(manager.get("/v1/operations/none"), "not-found", "operation", "none")
    refused(manager.get(path, wait=3601), "invalid", "wait", "3601")
    refused(manager.get("/v1/operations", after="x" * 513), "invalid", "after")
    manager.delete("/v1/vms/slow", wait=20)


def test_pages(manager):
    """Pages of any length show each object once, in order, also while others come and go."""
    made = [f"page-{n:02d}" for n in range(17)]
    for name in made:
        manager.post("/v1/sizes", {"name": name, "resources": {"cpu": 100, "memory": 64}})
    whole = [size["name"] for size in manager.get("/v1/sizes").json["items"]]
    for limit in (1, 4, 16, 17, 100):
        seen, after = [], {}
        while True:
            page = manager.get("/v1/sizes", limit=limit, **after).json
            seen += [size["name"] for size in page["items"]]
            assert len(page["items"]) <= limit
            if "next" not in page:
                break
            after = {"after": page["next"]}
        assert seen == whole
    page = manager.get("/v1/sizes", limit=5, after="page-03").json
    manager.delete("/v1/sizes/page-08")
    assert page["next"] == "page-08"
    assert manager.get("/v1/sizes", limit=1, after=page["next"]).json["items"][0]["name"] == "page-09"
    for name in set(made) - {"page-08"}:
        manager.delete(f"/v1/sizes/{name}")


def test_etag(manager, agents, catalog):
    got = manager.get("/v1/hosts/alpha")
    tag = got.headers["ETag"]
    assert tag == f'"{got.json["revision"]}"'
    new = manager.patch("/v1/hosts/alpha", {"cordoned": True}, headers={"If-Match": tag})
    assert new.status == 200 and new.headers["ETag"] != tag
    error = refused(manager.patch("/v1/hosts/alpha", {"cordoned": False}, headers={"If-Match": tag}), "precondition")
    assert error["field"] == "If-Match" and error["remedy"]
    assert manager.get("/v1/hosts/alpha").json["spec"]["cordoned"] is True
    assert manager.patch("/v1/hosts/alpha", {"cordoned": False}, headers={"If-Match": "*"}).status == 200
    refused(manager.patch("/v1/hosts/alpha", {}, headers={"If-Match": "yesterday"}), "invalid", "If-Match", "yesterday")
    manager.post("/v1/vms", vm_of("tagged"), wait=20)
    paths = ["/v1/vms/tagged", "/v1/sizes/small", "/v1/images/demo", "/v1/networks/blue"]
    for path in paths:
        assert manager.get(path).headers["ETag"] == f'"{manager.get(path).json["revision"]}"'
        refused(manager.delete(path, headers={"If-Match": '"1"'}), "precondition", "If-Match", "1")
    tag = manager.get("/v1/vms/tagged").headers["ETag"]
    assert manager.delete("/v1/vms/tagged", wait=20, headers={"If-Match": tag}).json["state"] == "done"


def test_a_dry_run_changes_nothing(manager, agents, catalog):
    manager.post("/v1/vms", vm_of("still"), wait=20)
    before, revision = manager.objects(), manager.get("/v1/cluster").json["revision"]
    for method, path, body in (
            ("POST", "/v1/sizes", {"name": "dry", "resources": {"cpu": 1, "memory": 1}}),
            ("POST", "/v1/networks", {"name": "dry"}), ("POST", "/v1/images", image_of("dry", b"dry")),
            ("POST", "/v1/vms", vm_of("dry", networks=["blue"])), ("PATCH", "/v1/vms/still", {"power": "off"}),
            ("POST", "/v1/vms/still/resize", {"cpu": 100}),
            ("POST", "/v1/apps", {"name": "dry", "size": "small", "image": "demo", "total": {"cpu": 1200}})):
        assert manager.call(method, path, body, dry_run=True).status == 200
    assert manager.objects() == before
    assert manager.get("/v1/cluster").json["revision"] == revision
    manager.delete("/v1/vms/still", wait=20)


# --- events

def events(manager, **query):
    return manager.get("/v1/events", **query).json


def all_events(manager, limit, start=0, **query):
    """Page by page, as a client goes on."""
    seen = []
    while True:
        page = events(manager, limit=limit, **{"from": start}, **query)
        if not page["items"]:
            return seen
        assert page["revision"] > start
        seen += page["items"]
        start = page["revision"]


def test_pages_of_events(manager, agents, catalog):
    """An app's VMs are placed in one transaction: events of one revision are neither lost nor repeated."""
    manager.post("/v1/apps", {"name": "many", "size": "small", "image": "demo", "count": 9}, wait=20)
    manager.delete("/v1/apps/many", wait=20)
    whole = events(manager, limit=1000)["items"]
    ids = [event["id"] for event in whole]
    revisions = [event["revision"] for event in whole]
    assert revisions == sorted(revisions) and len(set(ids)) == len(ids)
    assert max(revisions.count(r) for r in revisions) >= 9, "this test needs a revision of many events"
    for limit in (1, 2, 5, 9, 50):
        assert [event["id"] for event in all_events(manager, limit)] == ids
    some = [event["id"] for event in whole if event["subject"]["name"] == "many-3"]
    assert some and [event["id"] for event in all_events(manager, 1, subject="many-3")] == some
    refused(manager.get("/v1/events", **{"from": -1}), "invalid", "from", "-1")


class Follower:
    """Server-sent events, read as a browser does; keeps the last id for a reconnection."""

    def __init__(self, manager, last=None, **query):
        self.connection = manager.connection(timeout=20)
        query = "&".join(["follow=true"] + [f"{k}={v}" for k, v in query.items()])
        headers = {"Authorization": f"Bearer {manager.token}"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        self.connection.request("GET", f"/v1/events?{query}", headers=headers)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200, self.answer.read()
        assert self.answer.headers["Content-Type"] == "text/event-stream"
        self.last = last

    def next(self):
        data = None
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if line.startswith("data: "):
                data = json.loads(line[6:])
            elif line.startswith("id: "):
                self.last = int(line[4:])
            elif line == "" and data is not None:
                return data

    def until(self, kind, name):
        seen = [self.next()]
        while (seen[-1]["kind"], seen[-1].get("subject", {}).get("name")) != (kind, name):
            seen.append(self.next())
        return seen

    def close(self):
        self.connection.close()


def test_follow(manager, agents, catalog):
    schema = {"$ref": "#/components/schemas/Event"}
    start = manager.get("/v1/cluster").json["revision"]
    follower, other = Follower(manager, **{"from": start}), Follower(manager, **{"from": start}, subject="other")
    manager.post("/v1/apps", {"name": "seen", "size": "small", "image": "demo", "count": 4}, wait=20)
    manager.post("/v1/vms", vm_of("other"), wait=20)
    seen = follower.until("vm.running", "other")
    for event in seen:
        manager.document.validate(schema, event)
    listed = events(manager, limit=1000, **{"from": start})["items"]
    assert [event["id"] for event in seen] == [event["id"] for event in listed][:len(seen)]
    assert {event["subject"]["name"] for event in other.until("vm.running", "other")} == {"other"}
    kinds = {event["kind"] for event in listed}
    for asked, found in (("vm.running", {"vm.running"}), ("vm", {kind for kind in kinds if kind.startswith("vm.")}),
                         ("vm.run", set()), ("v", set())):
        of_kind = events(manager, limit=1000, **{"from": start}, kind=asked)["items"]
        assert {event["kind"] for event in of_kind} == found, asked
        assert of_kind == [event for event in listed if event["kind"] in found]
    middle = listed[len(listed) // 2]["at-ms"]
    late = events(manager, limit=1000, **{"from": start}, since=middle)["items"]
    assert late == [event for event in listed if event["at-ms"] >= middle] and len(late) < len(listed)
    only = Follower(manager, **{"from": start}, kind="vm.running", since=middle)
    first = next(event for event in late if event["kind"] == "vm.running")
    assert only.next() == first
    only.close()
    follower.close()
    other.close()
    refused(manager.get("/v1/events", headers={"Last-Event-ID": "soon"}, follow=True), "invalid", "Last-Event-ID",
            "soon")
    ahead = str(manager.get("/v1/cluster").json["revision"] + 1000)
    refused(manager.get("/v1/events", headers={"Last-Event-ID": ahead}, follow=True), "not-found", "from", ahead)
    manager.delete("/v1/apps/seen", wait=20)
    manager.delete("/v1/vms/other", wait=20)


def test_events_go_on_wherever_the_connection_broke(manager, agents, catalog):
    """Cut after any event, Last-Event-ID brings all that follow, also within one revision."""
    start = manager.get("/v1/cluster").json["revision"]
    manager.post("/v1/apps", {"name": "cut", "size": "small", "image": "demo", "count": 5}, wait=20)
    manager.delete("/v1/apps/cut", wait=20)
    ids = [event["id"] for event in events(manager, limit=1000, **{"from": start})["items"]]
    assert len(ids) > 12
    for cut in range(1, len(ids)):
        follower = Follower(manager, **{"from": start})
        seen = [follower.next()["id"] for _ in range(cut)]
        follower.close()
        again = Follower(manager, **({"last": follower.last} if follower.last is not None else {"from": start}))
        while seen[-1] != ids[-1]:
            event = again.next()["id"]
            if event not in seen:
                seen.append(event)
        again.close()
        assert seen == ids


def test_restart(manager, agents, catalog, tmp_path):
    """After a kill -9 all that was acknowledged is there, and events go on from where a client was."""
    manager.post("/v1/vms", vm_of("lasting"), wait=20)
    follower = Follower(manager, **{"from": 0})
    follower.until("vm.running", "lasting")
    before, listed = manager.objects(), events(manager, limit=1000)
    manager.restart()
    follower.close()
    after = manager.objects()
    for operation in before["operations"]:
        operation.pop("plan", None)
        operation.pop("explanation", None)
    for kind in before.keys() - {"hosts"}:
        assert after[kind] == before[kind]
    assert [host["spec"] for host in after["hosts"]] == [host["spec"] for host in before["hosts"]]
    assert events(manager, limit=1000)["items"][:len(listed["items"])] == listed["items"]
    again = Follower(manager, last=follower.last)
    for agent in agents:
        agent.close()
        agent.connect()
    resumed = again.until("host.up", "beta")
    assert not {event["id"] for event in resumed} & {event["id"] for event in listed["items"]}
    again.close()
    assert manager.delete("/v1/vms/lasting", wait=20).json["state"] == "done"


def test_tenants(manager, agents, catalog):
    refused(manager.get("/v1/tenants", limit=0), "invalid", "limit", "0")
    body = {"name": "red", "quota": {"cpu": 1000, "accelerators": {"gpu/a100": 1}}, "on-empty": "stop"}
    made = manager.post("/v1/tenants", body)
    assert made.status == 201 and made.json["spec"]["quota"] == body["quota"], made
    refused(manager.post("/v1/tenants", body), "exists", "name", "red")
    refused(manager.post("/v1/tenants", {"name": "x", "quota": {"cpus": 1}}), "invalid", "quota.cpus")
    refused(manager.post("/v1/tenants", {"name": "x", "quota": {"cpu": -1}}), "invalid", "quota.cpu", "-1")
    assert manager.get("/v1/tenants/red").json == made.json
    assert {tenant["name"] for tenant in manager.get("/v1/tenants").json["items"]} == {"default", "red"}
    refused(manager.get("/v1/tenants/rad"), "not-found", "tenant", "rad")
    assert manager.patch("/v1/tenants/red", {"grace-seconds": 60}).json["spec"]["grace-seconds"] == 60
    refused(manager.patch("/v1/tenants/red", {"on-empty": "weep"}), "invalid", "on-empty", "weep")
    refused(manager.patch("/v1/tenants/red", {}, headers={"If-Match": '"1"'}), "precondition", "If-Match")

    assert manager.get("/v1/levels").json["names"] == ["rack", "zone"]
    assert manager.put("/v1/levels", {"names": ["rack", "row", "zone"]}).json["names"] == ["rack", "row", "zone"]
    refused(manager.put("/v1/levels", {"names": ["host"]}), "invalid", "names", "host")
    refused(manager.put("/v1/levels", {"names": ["row", "row"]}), "invalid", "names", "row")
    assert manager.put("/v1/levels", {"names": ["rack", "zone"]}).status == 200
    assert manager.get("/v1/rates").json["cpu"] == 0
    refused(manager.get("/v1/rates", token=False), "unauthenticated")
    assert manager.put("/v1/rates", {"cpu": 36000000}).json["cpu"] == 36000000
    refused(manager.put("/v1/rates", {"cpu": 1.5}), "invalid", "cpu", "1.5")
    first = refused(manager.post("/v1/vms", vm_of("first", tenant="red")), "no-capacity", "credits")
    assert "tenant 'red' has 0 credits" in first["message"] and "18" in first["message"]

    credited = manager.post("/v1/tenants/red/credits", {"amount": 50000000, "note": "to begin with"})
    assert credited.status == 201 and credited.json["status"]["account"]["balance"] == 50000000
    refused(manager.post("/v1/tenants/red/credits", {"amount": 0}), "invalid", "amount", "0")
    assert manager.post("/v1/vms", vm_of("first"), tenant="red", wait=20).json["state"] == "done"
    assert manager.post("/v1/vms", vm_of("second", tenant="red"), wait=20).json["state"] == "done"
    third = refused(manager.post("/v1/vms", vm_of("third", tenant="red")), "no-capacity", "quota.cpu", "500")
    assert "may use 1 cpu and uses 1: of the 500m asked for 500m are missing" in third["message"], third
    refused(manager.get("/v1/vms/first"), "not-found", "vm", "first")
    refused(manager.get("/v1/vms", tenant="rad"), "not-found", "tenant", "rad")
    assert [vm["name"] for vm in manager.get("/v1/vms", tenant="red").json["items"]] == ["first", "second"]
    statement = manager.get("/v1/tenants/red/statement").json
    assert statement["credits"][0]["note"] == "to begin with" and statement["hourly"] == 36000000
    refused(manager.get("/v1/tenants/red/statement", since="now"), "invalid", "since", "now")
    refused(manager.delete("/v1/tenants/red"), "conflict", "tenant", "red")
    for name in ("first", "second"):
        assert manager.delete(f"/v1/vms/{name}", tenant="red", wait=20).json["state"] == "done"
    assert manager.delete("/v1/tenants/red").json == {}
    assert manager.put("/v1/rates", {}).status == 200


def test_tokens(manager):
    refused(manager.get("/v1/tokens", limit=0), "invalid", "limit", "0")
    refused(manager.post("/v1/tokens", {"role": "king"}), "invalid", "role", "king")
    refused(manager.post("/v1/tokens", {"role": "tenant"}), "invalid", "tenant")
    refused(manager.post("/v1/tokens", {"role": "tenant", "tenant": "defualt"}), "not-found", "tenant", "defualt")
    made = manager.post("/v1/tokens", {"role": "operator", "description": "for a test"})
    assert made.status == 201 and made.json["token"].startswith(made.json["id"] + ".")
    listed = [token for token in manager.get("/v1/tokens").json["items"] if token["id"] == made.json["id"]]
    assert listed and "token" not in listed[0] and "hash" not in listed[0]
    assert manager.get("/v1/hosts", token=made.json["token"]).status == 200
    assert manager.delete(f"/v1/tokens/{made.json['id']}").json == {}
    refused(manager.get("/v1/hosts", token=made.json["token"]), "unauthenticated", "Authorization")
    refused(manager.delete(f"/v1/tokens/{made.json['id']}"), "not-found", "token", made.json["id"])


def test_nothing_was_left_out(manager):
    refused(manager.get("/v1/snapshot", token=False), "unauthenticated", "Authorization")
    assert manager.get("/v1/snapshot").status == 200
    assert manager.get("/v1/snapshot?mask=true").status == 200
    every = manager.document.operations.keys()
    assert every - manager.recorder.good.keys() == set(), "never called with success"
    assert every - manager.recorder.bad.keys() == set(), "never called in vain"


