"""Who may do what: each role of the document against each operation, and tenants who are nothing to each other."""

import concurrent.futures
import json

import pytest

ROLES = ("admin", "operator", "tenant", "viewer")


def make_token(manager, role, **more):
    answer = manager.post("/v1/tokens", {"role": role} | more)
    assert answer.status == 201, answer
    return answer.json["token"]


@pytest.fixture(scope="module")
def tokens(manager):
    for name in ("cyan", "pink"):
        assert manager.post("/v1/tenants", {"name": name, "quota": {"vms": 10}}).status == 201
    return {role: make_token(manager, role, **({"tenant": "cyan"} if role == "tenant" else {})) for role in ROLES} | {
        "pink": make_token(manager, "tenant", tenant="pink"),
        "cyan-viewer": make_token(manager, "viewer", tenant="cyan")}


def is_forbidden(answer):
    return answer.status == 403 and answer.error["field"] == "Authorization" and answer.error["code"] == "forbidden"


def test_each_operation_takes_the_roles_that_the_document_says(manager, tokens):
    connection = manager.connection()
    for name, (method, path, operation) in manager.document.operations.items():
        roles = operation.get("x-berth-roles", [])
        path = path.replace("{", "no-").replace("}", "")
        for role in ROLES if operation.get("security") != [] else ():
            answer = manager.call(method, path, token=tokens[role], connection=connection)
            assert is_forbidden(answer) == (role not in roles), (name, role, answer)
            if is_forbidden(answer):
                assert f"role {role}" in answer.error["message"] and "use a token of role" in answer.error["remedy"]
        if roles:
            answer = manager.call(method, path, token=tokens["cyan-viewer"], connection=connection)
            assert is_forbidden(answer) == (not {"viewer", "tenant"} <= set(roles)), (name, answer)


def open_stream(manager, token, path, *headers):
    """The socket of an answer that goes on."""
    connection = manager.tls_socket()
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode())
    assert connection.recv(4096).split()[1] in (b"200", b"101")
    return connection


def read_to_end(connection, seconds):
    """What comes until the manager closes; TimeoutError if it does not."""
    connection.settimeout(seconds)
    got = b""
    while piece := connection.recv(4096):
        got += piece
    return got


def test_a_token_that_is_no_longer_good_ends_its_streams(manager, agents, catalog):
    assert manager.post("/v1/vms", {"name": "stream", "size": "small", "image": "demo"}, wait=20).status < 300
    token, other, short = (make_token(manager, "operator", **more) for more in ({}, {}, {"valid-seconds": 3}))
    console = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
               "Sec-WebSocket-Version: 13")
    events = open_stream(manager, token, "/v1/events?follow=true")
    talk = open_stream(manager, token, "/v1/vms/stream/console", *console)
    stays = open_stream(manager, other, "/v1/events?follow=true")
    expires = open_stream(manager, short, "/v1/events?follow=true")
    assert manager.delete(f"/v1/tokens/{token.split('.')[0]}").status == 200
    read_to_end(events, 5)
    assert b"no longer good" in read_to_end(talk, 5)
    assert manager.delete("/v1/vms/stream", wait=20).json["state"] == "done"
    assert b"data: " in stays.recv(65536), "another token's stream goes on"
    read_to_end(expires, 25)
    for connection in (events, talk, stays, expires):
        connection.close()


def test_tenants_are_nothing_to_each_other(manager, agents, catalog, tokens):
    cyan, pink = tokens["tenant"], tokens["pink"]
    vm = {"name": "web", "size": "small", "image": "demo"}
    own = manager.post("/v1/vms", vm, token=cyan, wait=20)
    assert own.json["state"] == "done" and own.json["tenant"] == "cyan", own
    assert manager.post("/v1/vms", vm, token=pink, wait=20).json["state"] == "done", "a name is taken per tenant"
    mine, other = (manager.get("/v1/vms/web", token=token).json["id"] for token in (cyan, pink))
    for method, path, body in (("GET", "", None), ("DELETE", "", None), ("PATCH", "", {"power": "off"}),
                               ("POST", "/resize", {"cpu": 100}), ("POST", "/exec", {"argv": ["true"]})):
        answer = manager.call(method, f"/v1/vms/{other}{path}", body, token=cyan)
        assert answer.status == 404 and answer.error["code"] == "not-found", answer
    assert manager.get(f"/v1/operations/{own.json['id']}", token=pink).status == 404
    assert manager.get("/v1/operations", token=pink, limit=1000).json["items"] != []
    for kind in ("vms", "apps", "networks", "operations", "tenants", "events"):
        listed = json.dumps(manager.get(f"/v1/{kind}", token=pink, limit=1000).json)
        assert mine not in listed and "cyan" not in listed, (kind, listed)
    top = manager.get("/v1/top", token=pink).json
    assert top["hosts"] == [] and [row["id"] for row in top["vms"]] == [other]
    alone = {"name": "mine", "kind": "alone", "subject": "vm/web"}
    answer = manager.post("/v1/rules", alone, token=pink)
    assert answer.status == 403 and answer.error["field"] == "kind"
    assert manager.post("/v1/rules", alone | {"weight": 1}, token=pink).status == 201
    assert manager.delete("/v1/rules/mine", token=pink).status == 200
    answer = manager.get("/v1/vms", token=pink, tenant="cyan")
    assert answer.status == 403 and answer.error["field"] == "tenant"
    assert manager.get(f"/v1/tenants/cyan/statement", token=pink).status == 404
    assert {vm["id"] for vm in manager.get("/v1/vms", limit=1000).json["items"]} >= {mine, other}, "admin sees all"
    for token in (cyan, pink):
        assert manager.delete("/v1/vms/web", token=token, wait=20).json["state"] == "done"


def test_a_hundred_requests_at_once_pass_no_limit(manager, agents, catalog, tokens):
    def create(number):
        return manager.post("/v1/vms", {"name": f"r-{number}", "size": "small", "image": "demo"},
                            token=tokens["pink"]).status
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(create, range(100)))
    assert statuses.count(202) == 10 and statuses.count(409) == 90
    assert manager.get("/v1/tenants/pink").json["status"]["vms"] == 10
    manager.restart()
    assert manager.get("/v1/tenants/pink", token=tokens["pink"]).json["status"]["vms"] == 10


@pytest.mark.parametrize("token", ["", ".", "x.y", "01ARZ3NDEKTSV4RRFFQ69G5FAV.00", "a" * 4000, "admin"])
def test_tokens_that_are_none(manager, token):
    answer = manager.get("/v1/vms", token=token or " ")
    assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer"), answer
