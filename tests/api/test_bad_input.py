"""What strangers, careless users and broken programs send: each is refused with what would be right, nothing is
changed by it, and others are served meanwhile."""

import contextlib
import hashlib
import http.client
import json
import pathlib
import select
import resource
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest

from agent import frame, hello, make_request, openssl
from conftest import image_of
from manager import MANAGER, Manager

GIB = 1 << 30
RSS_MIB = 64
SLOWEST_TIMES = 20  # a GET among strangers may take so many times the slowest of a few without them,
LEAST_S = 0.05  # or of this, where those were faster
CONNECTIONS = 1000


@pytest.fixture(autouse=True)
def nothing_changes(manager, agents, catalog):
    before = manager.objects()
    yield
    assert manager.alive(), manager.log.read_text()
    assert manager.objects() == before


def refused(answer, status, code, field=None, value=None):
    assert answer.status == status and answer.error["code"] == code, answer
    if field is not None:
        assert answer.error["field"] == field and answer.error["remedy"], answer
    if value is not None:
        assert answer.error["value"] == value, answer
    return answer.error


# --- values

def size(**resources):
    return {"name": "bad", "resources": {"cpu": 100, "memory": 64} | resources}


@pytest.mark.parametrize("body, field, value", [
    (size() | {"colour": "red"}, "colour", "red"),
    (size(colour=1), "resources.colour", "1"),
    (size(cpu=-1), "resources.cpu", "-1"),
    (size(memory=2**40 + 1), "resources.memory", str(2**40 + 1)),
    (size(cpu="4"), "resources.cpu", "4"),
    (size(memory="2GiB"), "resources.memory", "2GiB"),
    (size(cpu=1.5), "resources.cpu", "1.5"),
    (size(cpu=None), "resources.cpu", "null"),
    (size(cpu=True), "resources.cpu", "true"),
    (size(accelerators={"gpu": -1}), "resources.accelerators.gpu", "-1"),
    (size(accelerators={f"gpu/{n}": 1 for n in range(12)}), "resources.accelerators", None),
    ({"name": "bad"}, "resources", None),
    ({"name": "Bad", "resources": {}}, "name", "Bad"),
    ({"name": "x" * 64, "resources": {}}, "name", "x" * 64),
    ({"name": "bad\0", "resources": {}}, "body", None),
    (size() | {"max-vcpus": 257}, "max-vcpus", "257"),
    (size() | {"description": "é" * 201}, "description", None),
], ids=lambda value: value if isinstance(value, str) else None)
def test_values(manager, body, field, value):
    refused(manager.post("/v1/sizes", body), 400, "invalid", field, value)


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b"7", b'"size"', b'{"name": "bad", "name": "worse"}', b"{'name': 'bad'}", b"\xff\xfe{}",
    b'{"name": "\xc3("}', b"name: bad", b"{} {}", b"[" * 200_000, b'{"a":' * 200_000, b'{"name": "\\ud800"}'])
def test_bodies_that_are_no_object(manager, body):
    error = refused(manager.post("/v1/sizes", body), 400, "invalid")
    assert error["field"] and error["remedy"]


def test_an_integer_that_overflows(manager):
    for digits in ("9223372036854775808", "-9223372036854775809", "9" * 400, "1e400"):
        body = b'{"name":"bad","resources":{"cpu":%s,"memory":64}}' % digits.encode()
        refused(manager.post("/v1/sizes", body), 400, "invalid")


@pytest.mark.parametrize("path, field, value", [
    ("/v1/vms?limit=0", "limit", "0"), ("/v1/vms?limit=9999999999999999999999", "limit", "9999999999999999999999"),
    ("/v1/vms?limit=", "limit", ""), ("/v1/vms?colour=red", "colour", "red"), ("/v1/events?follow=maybe", "follow", "maybe"),
    ("/v1/events?from=-1", "from", "-1"), ("/v1/vms/" + "x" * 300, None, None), ("/v1/vms//", None, None),
    ("/v1/vms/%2e%2e", None, None)])
def test_paths_and_queries(manager, path, field, value):
    answer = manager.get(path)
    assert answer.status in (400, 404), answer
    if field:
        refused(answer, 400, "invalid", field, value)


def test_larger_than_any_host(manager):
    assert manager.post("/v1/sizes", {"name": "huge", "resources": {"cpu": 1000, "memory": 1 << 20}}).status == 201
    for dry in (True, False):
        answer = manager.post("/v1/vms", {"name": "huge", "size": "huge", "image": "demo"}, dry_run=dry, explain=True)
        error = refused(answer, 409, "no-capacity", "memory")
        hosts = {host["host"]: host for host in error["explanation"]["hosts"]}
        assert hosts.keys() == {"alpha", "beta"}
        assert all(not h["fits"] and not h["chosen"] and "memory" in h["verdict"] for h in hosts.values()), hosts
        app = {"name": "huge", "size": "huge", "image": "demo", "count": 2}
        answer = manager.post("/v1/apps", app, dry_run=dry, explain=True)
        error = refused(answer, 409, "no-capacity", "memory")
        assert len(error["explanation"]["hosts"]) == 2 and "0 of 2 VMs fit" in error["message"]
        assert "explanation" not in manager.post("/v1/apps", app).error
    assert manager.delete("/v1/sizes/huge").status == 200


def test_names_that_are_taken(manager):
    refused(manager.post("/v1/sizes", {"name": "small", "resources": {"cpu": 1, "memory": 1}}), 409, "exists", "name", "small")
    refused(manager.post("/v1/networks", {"name": "blue"}), 409, "exists", "name", "blue")
    refused(manager.post("/v1/images", image_of("demo", b"other")), 409, "exists", "name", "demo")
    token = manager.post("/v1/join-tokens", {"uses": 1}).json
    body = {"token": token["token"], "name": "alpha", "csr": make_request(pathlib.Path(manager.directory) / "taken", "x")}
    refused(manager.post("/v1/join", body, token=False), 409, "exists", "name", "alpha")
    manager.delete(f"/v1/join-tokens/{token['id']}")


def test_content_that_is_not_the_image(manager):
    image = image_of("false", b"what was declared")
    sha256 = image["files"][0]["sha256"]
    assert manager.post("/v1/images", image).status == 201
    path = f"/v1/images/false/files/{sha256}"
    refused(manager.put(path, b"what was Declared"), 400, "invalid", "sha256", sha256)
    refused(manager.put(path, b"short"), 400, "invalid", "sha256", sha256)
    refused(manager.put(path, b""), 400, "invalid", "sha256", sha256)
    refused(manager.put(path, b"what was declared and more"), 413, "too-large", "body")
    refused(manager.post("/v1/vms", {"name": "early", "size": "small", "image": "false"}), 409, "conflict", "image", "false")
    assert manager.get("/v1/images/false").json["state"] == "waiting"
    assert manager.delete("/v1/images/false").status == 200
    assert [f.name for f in (manager.state / "images").iterdir() if f.name.startswith(sha256)] == []


def qcow2(size=1 << 20, backing=0, features=0):
    """The beginning of an image, which is all that is looked at."""
    return struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, backing, 0, 16, size, 0, 0, 0, 0, 0, 0, 0, features, 0, 0, 4, 104)


def disk_of(name, content, **more):
    image = image_of(name, content)
    return image | {"kind": "disk", "files": [image["files"][0] | {"role": "disk", "format": "qcow2"} | more]}


def put_file(manager, image):
    content = image.pop("content")
    assert manager.post("/v1/images", image).status == 201
    answer = manager.put(f"/v1/images/{image['name']}/files/{image['files'][0]['sha256']}", content)
    assert manager.delete(f"/v1/images/{image['name']}").status == 200
    assert not list((manager.state / "images").glob(image["files"][0]["sha256"] + "*"))
    return answer


@pytest.mark.parametrize("content, more, field, what", [
    (b"#!/bin/sh", {"role": "kernel", "format": None}, "role", "neither a bzImage nor ELF"),
    (b"no disk", {}, "role", "does not begin as a qcow2"),
    (qcow2(backing=104) + b"/etc/passwd", {"virtual-bytes": 1 << 20}, "role", "leans on a backing file"),
    (qcow2(features=4), {"virtual-bytes": 1 << 20}, "role", "its data in another file"),
    (qcow2(), {"virtual-bytes": 1 << 10}, "virtual-bytes", "not the size that a guest sees"),
    (qcow2(), {}, "virtual-bytes", "not the size that a guest sees"),
], ids=["kernel", "no-qcow2", "backing", "data-file", "smaller", "unsaid"])
def test_an_image_that_is_none(manager, content, more, field, what):
    if more.get("role") == "kernel":
        image = image_of("none", content)
    else:
        image = disk_of("none", content, **more)
    assert what in refused(put_file(manager, image | {"content": content}), 400, "invalid", field)["message"]


def test_what_came_as_an_initrd_is_no_kernel(manager):
    """The same bytes in another role are looked at again."""
    archive, kernel = b"070701, an archive", b"\x7fELF, a kernel of its own"
    both = image_of("both", kernel)
    both["files"].append(image_of("", archive)["files"][0] | {"role": "initrd"})
    assert manager.post("/v1/images", both).status == 201
    for content in (kernel, archive):
        answer = manager.put(f"/v1/images/both/files/{hashlib.sha256(content).hexdigest()}", content)
    assert answer.json["state"] == "ready"
    other = manager.post("/v1/images", image_of("turned", archive))
    assert other.status == 201 and other.json["state"] == "waiting", other
    path = f"/v1/images/turned/files/{other.json['files'][0]['sha256']}"
    refused(manager.put(path, archive), 400, "invalid", "role", "kernel")
    for name in ("turned", "both"):
        assert manager.delete(f"/v1/images/{name}").status == 200


# --- bodies without end

def stream(manager, method, path, declared):
    """Sends a body of 1 GiB until somebody stops us. Returns the bytes that went out, and the answer."""
    chunk = bytes(1 << 16)
    with manager.tls_socket() as connection:
        length = f"Content-Length: {GIB}" if declared else "Transfer-Encoding: chunked"
        connection.sendall((f"{method} {path} HTTP/1.1\r\nHost: berth\r\nAuthorization: Bearer {manager.token}\r\n"
                            f"Content-Type: application/json\r\n{length}\r\n\r\n").encode())
        piece = chunk if declared else b"%x\r\n%s\r\n" % (len(chunk), chunk)
        sent = 0
        with contextlib.suppress(OSError):
            while sent < GIB and not select.select([connection], [], [], 0)[0]:
                connection.sendall(piece)
                sent += len(chunk)
        answer = http.client.HTTPResponse(connection, method=method)
        answer.begin()
        return sent, answer.status, json.loads(answer.read())["error"]


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
@pytest.mark.parametrize("method, path, status", [
    ("POST", "/v1/sizes", 413), ("GET", "/v1/vms", 413), ("POST", "/v1/nothing", 404), ("PUT", "/v1/vms", 405),
    ("PUT", "/v1/images/demo/files/" + "0" * 64, 404), ("PUT", "/v1/images/large/files/{sha256}", 413)])
def test_a_gibibyte(manager, method, path, status, declared):
    image = image_of("large", b"not so large")
    assert manager.post("/v1/images", image).status == 201
    path = path.replace("{sha256}", image["files"][0]["sha256"])
    sent, got, error = stream(manager, method, path, declared)
    assert got == status and error["message"], error
    assert sent < 64 << 20, f"refused only after {sent >> 20} MiB"
    assert manager.get("/v1/version").status == 200
    assert manager.delete("/v1/images/large").status == 200
    assert manager.rss_kib() < RSS_MIB << 10


def test_a_refusal_reaches_who_sends_on(manager):
    """A client that only reads when it has sent all: the answer is not lost in a reset."""
    for _ in range(20):
        refused(manager.put("/v1/images/demo/files/" + "0" * 64, bytes(3 << 20)), 404, "not-found", "sha256")
        refused(manager.post("/v1/sizes", b"[" * (2 << 20)), 413, "too-large", "body")


# --- who are you?

def test_tokens(manager):
    for token in ("", "x", manager.token[:-1], manager.token + "0", manager.token.upper() + "é".encode().decode("latin1")):
        refused(manager.get("/v1/vms", token=token or " "), 401, "unauthenticated", "Authorization")
    answer = manager.get("/v1/vms", token=False, headers={"Authorization": f"Basic {manager.token}"})
    refused(answer, 401, "unauthenticated", "Authorization")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert manager.token not in manager.log.read_text()


def test_a_token_that_has_expired(manager):
    short = manager.post("/v1/tokens", {"role": "viewer", "valid-seconds": 1}).json["token"]
    assert manager.get("/v1/vms", token=short).status == 200
    time.sleep(1.1)
    assert "expired" in refused(manager.get("/v1/vms", token=short), 401, "unauthenticated", "Authorization")["message"]
    assert manager.delete(f"/v1/tokens/{short.split('.')[0]}").status == 200


def test_join_tokens(manager, tmp_path):
    body = {"name": "stranger", "csr": make_request(tmp_path / "key", "stranger")}

    def join(token):
        return manager.post("/v1/join", body | {"token": token}, token=False)
    short = manager.post("/v1/join-tokens", {"valid-seconds": 1}).json
    revoked = manager.post("/v1/join-tokens", {}).json
    assert manager.delete(f"/v1/join-tokens/{revoked['id']}").status == 200
    for token in ("", ".", "..", "x.y.z", revoked["token"], f"{short['id']}.{'0' * 64}.x", short["id"], manager.token):
        assert "unknown or revoked" in refused(join(token), 401, "unauthenticated", "token")["message"]
    time.sleep(1.1)
    assert "expired" in refused(join(short["token"]), 401, "unauthenticated", "token")["message"]
    manager.delete(f"/v1/join-tokens/{short['id']}")


# --- the agents' port

def own_ca(directory, name):
    """A certificate of another CA, for `name`."""
    directory.mkdir()
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-keyout", directory / "ca-key.pem", "-out", directory / "ca.pem", "-subj", "/CN=Berth cluster CA")
    make_request(directory, name)
    openssl("x509", "-req", "-in", directory / "csr.pem", "-CA", directory / "ca.pem", "-CAkey",
            directory / "ca-key.pem", "-CAcreateserial", "-days", "2", "-out", directory / "cert.pem")
    return directory


def is_refused(connection):
    """The manager ends the connection without a word of its protocol."""
    connection.settimeout(20)
    data = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while more := connection.recv(4096):
            data += more
    return b'"method":"network.' not in data and b'"method":"vm.' not in data


def test_an_agent_of_another_ca(manager, agents, tmp_path):
    other = own_ca(tmp_path / "other", agents[0].id)
    for with_certificate in (True, False):
        context = ssl.create_default_context(cadata=manager.ca)
        if with_certificate:
            context.load_cert_chain(other / "cert.pem", other / "key.pem")
        with manager.socket(manager.agent_port) as raw:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                connection = context.wrap_socket(raw, server_hostname="127.0.0.1")
                connection.sendall(frame(hello(agents[0].id)))
                connection.settimeout(20)
                assert connection.recv(1) == b"", "it talks to a stranger"
    assert manager.get(f"/v1/hosts/{agents[0].name}").json["status"]["state"] == "up"


def strange_frames():
    yield "cut", struct.pack(">I", 1000) + b'{"jsonrpc"', True
    yield "4 GiB", struct.pack(">I", 2**32 - 1), False
    yield "empty", struct.pack(">I", 0), False
    yield "no JSON", frame(b"\0" * 100), False
    yield "brackets", frame(b"[" * 200_000), False
    yield "no hello", frame({"jsonrpc": "2.0", "id": 1, "method": "agent.report", "params": {"sequence": 1}}), False
    message = hello("x")
    message["params"]["major"] = 2
    yield "major 2", frame(message), False
    yield "HTTP", b"GET / HTTP/1.1\r\nHost: berth\r\n\r\n", False


@pytest.mark.parametrize("name, data, cut", strange_frames(), ids=[name for name, _, _ in strange_frames()])
def test_frames(manager, agents, name, data, cut):
    """From a peer with a good certificate: its own connection ends, the host's other one goes on."""
    connection = agents[0].dial()
    connection.sendall(data)
    if cut:
        connection.close()
    else:
        assert is_refused(connection)
        connection.close()
    agents[1].report()
    agents[0].report()
    assert manager.rss_kib() < RSS_MIB << 10


def test_reports_that_are_wrong(manager, agents, tmp_path):
    """Refused by an answer; the connection goes on."""
    connection = agents[0].dial()
    for agent in agents[:1]:
        agent.close()
    connection.sendall(frame(hello(agents[0].id)))
    for number, (method, params) in enumerate((
            ("agent.report", {}), ("agent.report", {"sequence": "one"}), ("agent.report", {"sequence": 0}),
            ("agent.report", {"sequence": 1, "vms": [{}]}), ("agent.nothing", {}), ("image.locate", {"sha256": "x"}))):
        connection.sendall(frame({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
    seen, data = {}, b""
    connection.settimeout(20)
    while len(seen) < 6:
        data += connection.recv(1 << 16)
        while len(data) >= 4 and len(data) >= 4 + struct.unpack(">I", data[:4])[0]:
            length = struct.unpack(">I", data[:4])[0]
            message = json.loads(data[4:4 + length])
            data = data[4 + length:]
            if "error" in message:
                seen[message["id"]] = message["error"]
    assert all(error["message"] for error in seen.values())
    assert seen[1]["data"]["field"] == "sequence" and seen[1]["data"]["value"] == "one"
    connection.close()
    agents[0].connect()


# --- connections

def test_connections_that_end_cost_nothing(manager):
    """However they end: descriptors and memory come back."""
    def descriptors():
        return len(list(pathlib.Path(f"/proc/{manager.process.pid}/fd").iterdir()))
    request = b"GET /v1/version HTTP/1.1\r\nHost: berth\r\n\r\n"
    before = descriptors()
    for number in range(150):
        connection = manager.tls_socket()
        if number % 3:
            connection.sendall(request)
            answer = b""
            while b'"api"' not in answer:
                answer += connection.recv(4096)
        if number % 3 == 1:
            with contextlib.suppress(ssl.SSLError):
                connection.unwrap()  # in good order
        connection.close()
    end = time.monotonic() + 10
    while descriptors() > before + 5:
        assert time.monotonic() < end, f"{descriptors()} descriptors, {before} before"
        time.sleep(0.1)
    assert manager.rss_kib() < RSS_MIB << 10


class Watch:
    """Asks for a VM list over and over, as others do; the slowest answer counts."""

    def __enter__(self):
        self.allowed = LEAST_S * SLOWEST_TIMES
        self.slowest, self.failed, self.count, self._stop = 0.0, None, 0, threading.Event()
        return self

    def on(self, manager):
        for _ in range(20):
            begun = time.monotonic()
            assert manager.get("/v1/vms").status == 200
            self.allowed = max(self.allowed, (time.monotonic() - begun) * SLOWEST_TIMES)
        self._thread = threading.Thread(target=self._run, args=(manager,), daemon=True)
        self._thread.start()
        return self

    def _run(self, manager):
        """Half of them over a new connection, as a newcomer would."""
        connection = manager.connection()
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                answer = manager.get("/v1/vms", connection=connection if self.count % 2 else None)
                self.failed = None if answer.status == 200 else repr(answer)
            except OSError as error:
                self.failed = repr(error)
            if self.failed:
                return
            self.slowest = max(self.slowest, time.monotonic() - begun)
            self.count += 1
            time.sleep(0.01)

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(timeout=60)


def served(watch, what):
    print(f"{what}: {watch.count} GETs meanwhile, the slowest {watch.slowest * 1000:.0f} ms")
    assert watch.failed is None and watch.count > 0
    assert watch.slowest < watch.allowed, f"the slowest GET took {watch.slowest:.2f} s, {watch.allowed:.2f} are allowed"


HELLO_BEGUN = bytes.fromhex("16030100c8010000c40303") + bytes(20)


@pytest.mark.parametrize("first", [b"", HELLO_BEGUN], ids=["silent", "begun"])
def test_a_thousand_half_open_connections(manager, agents, first):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with contextlib.ExitStack() as stack, Watch() as watch:
        watch.on(manager)
        for _ in range(CONNECTIONS):
            for port in (manager.api_port, manager.agent_port):
                stranger = stack.enter_context(manager.socket(port))
                if first:
                    stranger.sendall(first)
        time.sleep(0.5)
        agents[0].report()
        agents[1].close()
        agents[1].connect()
        assert manager.get("/v1/version").status == 200
    served(watch, f"{CONNECTIONS} half-open connections on each port, {len(first)} bytes said")
    assert manager.rss_kib() < 2 * RSS_MIB << 10


def test_slow_headers(manager):
    """A hundred clients that send a header a byte at a time."""
    with contextlib.ExitStack() as stack, Watch() as watch:
        slow = [stack.enter_context(manager.tls_socket()) for _ in range(100)]
        watch.on(manager)
        for byte in b"GET /v1/vms HTTP/1.1\r\n":
            for connection in slow:
                connection.sendall(bytes([byte]))
            time.sleep(0.03)
    served(watch, "100 slow headers")


def answer_to(manager, data):
    got = b""
    with manager.tls_socket(timeout=1) as connection:  # who sends half a request may wait for ever
        with contextlib.suppress(OSError):
            connection.sendall(data)
            while more := connection.recv(4096):
                got += more
                if b"\r\n\r\n" in got and b'"error"' in got:
                    break
        return got


def test_requests_that_are_none(manager):
    head = f"Host: berth\r\nAuthorization: Bearer {manager.token}\r\n".encode()
    for data in (b"\0" * 4000 + b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 200_000 + b"\r\n\r\n",
                 b"GET /v1/vms HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
                 b"POST /v1/sizes HTTP/1.1\r\n" + head + b"Content-Length: -5\r\n\r\n{}",
                 b"POST /v1/sizes HTTP/1.1\r\n" + head + b"Content-Length: 99999999999999999999\r\n\r\n{}",
                 b"POST /v1/sizes HTTP/1.1\r\n" + head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"):
        got = answer_to(manager, data)
        assert got[9:10] in (b"4", b"5"), (data[:60], got[:200])
        problem = json.loads(got.partition(b"\r\n\r\n")[2])["error"]
        assert problem["code"] in ("invalid", "too-large") and problem["message"] and problem["remedy"], (data[:60], got)
        assert manager.get("/v1/version").status == 200


def seconds_until_closed(connection):
    start = time.monotonic()
    with contextlib.suppress(OSError):  # reset: closed too
        while connection.recv(4096):
            pass
    return time.monotonic() - start


def test_who_keeps_us_waiting_is_let_go(tmp_path):
    """Nothing said, half of the headers, half of a body: the limit is one second here. Others live on."""
    manager = Manager(tmp_path, options=("--client-timeout", "1"))
    try:
        head = f"Host: berth\r\nAuthorization: Bearer {manager.token}\r\n".encode()
        follower = manager.tls_socket()
        follower.sendall(b"GET /v1/events?follow=true HTTP/1.1\r\n" + head + b"\r\n")
        assert follower.recv(4096).startswith(b"HTTP/1.1 200")
        kept = manager.connection()
        assert manager.get("/v1/version", connection=kept).status == 200
        for data in (b"", b"GET /v1/version HTTP/1.1\r\n" + head,
                     b"POST /v1/sizes HTTP/1.1\r\n" + head + b"Content-Length: 100\r\n\r\n{",
                     b"GET /v1/version HTTP/1.1\r\n" + head + b"\r\n"):
            with manager.tls_socket(timeout=10) as connection:
                connection.sendall(data)
                assert 0.5 < seconds_until_closed(connection) < 9, data
        with manager.tls_socket(timeout=10) as connection:  # bytes alone do not help: the headers must be whole
            connection.sendall(b"GET /v1/version HTTP/1.1\r\n")
            end = time.monotonic() + 9
            with pytest.raises(OSError):
                while time.monotonic() < end:
                    connection.sendall(b"X: y\r\n")
                    time.sleep(0.1)
            assert time.monotonic() < end
        follower.settimeout(0.2)
        with pytest.raises(TimeoutError):  # still there, with nothing to hear
            while follower.recv(4096):
                pass
        follower.close()
        assert manager.get("/v1/version").status == 200
    finally:
        manager.close()


@pytest.mark.parametrize("option,value,says", [
    ("--backfill", "sideways", "easy, conservative or off"),
    ("--starvation-minutes", "0", "1 to 525600"),
    ("--starvation-minutes", "525601", "1 to 525600"),
    ("--patience-minutes", "0", "1 to 525600"),
    ("--api-port", "65536", "0 to 65535"),
    ("--agent-port", "-1", "0 to 65535"),
    ("--client-timeout", "0", "1 to 86400")])
def test_options_are_checked_before_anything_is_made(tmp_path, option, value, says):
    state = tmp_path / "state"
    done = subprocess.run([MANAGER, "--state", state, option, value], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert option[2:] in done.stderr and value in done.stderr and says in done.stderr
    assert not (state / "store.db").exists()


def test_garbage_after_a_good_request(manager):
    """Pipelined: the good one is answered, the garbage ends the connection."""
    head = f"Host: berth\r\nAuthorization: Bearer {manager.token}\r\n".encode()
    got = answer_to(manager, b"GET /v1/version HTTP/1.1\r\n" + head + b"\r\n" + b"\x01garbage\r\n\r\n" * 50)
    assert got.startswith(b"HTTP/1.1 200 ") and b'"version"' in got
    assert b"HTTP/1.1 200" not in got[20:]


def test_who_leaves_in_the_middle(manager):
    """Of headers, of a body, before the answer, and while it waits for an operation."""
    head = f"Host: berth\r\nAuthorization: Bearer {manager.token}\r\n".encode()
    body = json.dumps(size()).encode()
    for data in (b"POST /v1/sizes HT", b"POST /v1/sizes HTTP/1.1\r\n" + head,
                 b"POST /v1/sizes HTTP/1.1\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:-1],
                 b"GET /v1/vms HTTP/1.1\r\n" + head + b"\r\n",
                 b"GET /v1/events?follow=true HTTP/1.1\r\n" + head + b"\r\n"):
        for abrupt in (False, True):
            connection = manager.tls_socket()
            connection.sendall(data)
            if abrupt:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
    assert manager.get("/v1/version").status == 200
