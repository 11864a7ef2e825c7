"""A host that is only a connection: joins, obeys at once and reports what it was told.

What it runs is a dictionary. `hold` keeps its reports back, so that operations stay under way.
"""

import json
import pathlib
import queue
import selectors
import socket
import ssl
import struct
import subprocess
import threading

FACTS = {
    "capacity": {"cpu": 8000, "memory": 16384, "disk": 100, "disk-bw": 1000, "net-bw": 10000},
    "reserve": {"cpu": 500, "memory": 512},
    "address": "10.0.0.1",
    "accelerator": {"kind": "tcg", "reason": "a test"},
    "machine": "pc-q35-7.2",
    "overhead": 64,
}


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_request(directory, name):
    """A key and a certificate request in `directory`; the request as PEM."""
    directory = pathlib.Path(directory)
    directory.mkdir(exist_ok=True)
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", directory / "key.pem", "-out", directory / "csr.pem", "-subj", f"/CN={name}")
    return (directory / "csr.pem").read_text()


def frame(message):
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">I", len(data)) + data


def hello(host):
    return {"jsonrpc": "2.0", "method": "hello",
            "params": {"protocol": "berth-agent", "major": 1, "minor": 0, "capabilities": [],
                       "identity": {"host": host}}}


class Refusal(Exception):
    """What a host answers instead of a result."""

    def __init__(self, message, data):
        super().__init__(message)
        self.data = data


class Agent:
    def __init__(self, manager, directory, name, facts=None, token=None):
        self.manager = manager
        self.name = name
        self.directory = pathlib.Path(directory)
        self.facts = FACTS | (facts or {})
        self.vms = {}  # id → ReportedVm
        self.stray = []  # ReportedVms that nobody assigned
        self.hold = False
        self.calls = []  # (method, params), as they came
        self.connected = None
        self._thread = None
        self._join(token)

    def _join(self, token):
        if token is None:
            token = self.manager.post("/v1/join-tokens", {"uses": 1}).json["token"]
        answer = self.manager.post("/v1/join", {
            "token": token, "name": self.name, "csr": make_request(self.directory, self.name)}, token=False)
        assert answer.status == 201, answer
        self.id = answer.json["host"]
        self.port = answer.json["agent-port"]
        (self.directory / "cert.pem").write_text(answer.json["certificate"])
        (self.directory / "ca.pem").write_text(answer.json["ca"])

    def dial(self, timeout=20):
        """A TLS connection with this host's certificate, and nothing said on it yet."""
        context = ssl.create_default_context(cafile=self.directory / "ca.pem")
        context.load_cert_chain(self.directory / "cert.pem", self.directory / "key.pem")
        raw = socket.create_connection(("127.0.0.1", self.manager.agent_port), timeout=timeout)
        return context.wrap_socket(raw, server_hostname="127.0.0.1")

    def connect(self):
        self.connected = self.dial()
        self._out = queue.Queue()
        self._wake, self._woken = socket.socketpair()
        self._answers = {}
        self._sequence = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._send(hello(self.id))
        self._thread.start()
        self.report(full=True)
        return self

    def close(self):
        if self.connected is not None:
            self._send(None)
            self._thread.join(timeout=10)
            self.connected.close()
            self._wake.close()
            self._woken.close()
            self.connected = None

    def _send(self, message):
        self._out.put(message)
        self._wake.send(b"x")

    def report(self, full=False, vms=None, wait=True):
        """Reports these VMs, or all; returns when the manager has it durable."""
        self._sequence += 1
        vms = list(self.vms.values()) + self.stray if vms is None else vms
        params = {"sequence": self._sequence, "full": full, "vms": vms}
        if full:
            params["facts"] = self.facts
        done = self._answers[self._sequence] = threading.Event()
        self._send({"jsonrpc": "2.0", "id": self._sequence, "method": "agent.report", "params": params})
        assert not wait or done.wait(20), "the manager does not answer a report"

    def release(self):
        """Reports what was held back."""
        self.hold = False
        self.report()

    def _run(self):
        data = b""
        watched = selectors.DefaultSelector()
        for each in (self.connected, self._woken):
            watched.register(each, selectors.EVENT_READ)
        while True:
            ready = [self.connected] if self.connected.pending() else [key.fileobj for key, _ in watched.select()]
            if self._woken in ready:
                self._woken.recv(1)
                message = self._out.get()
                if message is None:
                    return
                self._write(frame(message))
            if self.connected in ready:
                try:
                    more = self.connected.recv(1 << 16)
                except OSError:
                    return
                if not more:
                    return
                data = self._take(data + more)

    def _write(self, data):
        try:
            self.connected.sendall(data)
        except OSError:
            pass

    def _take(self, data):
        while len(data) >= 4:
            size = struct.unpack(">I", data[:4])[0]
            if len(data) < 4 + size:
                break
            self._message(json.loads(data[4:4 + size]))
            data = data[4 + size:]
        return data

    def _message(self, message):
        if "method" not in message:
            self._answers.pop(message.get("id"), threading.Event()).set()
        elif message["method"] == "rpc.ping":
            self._send({"jsonrpc": "2.0", "method": "rpc.pong", "params": {}})
        elif "id" in message:
            self.calls.append((message["method"], message["params"]))
            obey = getattr(self, "_" + message["method"].replace(".", "_"), None)
            answer = {"jsonrpc": "2.0", "id": message["id"]}
            try:
                answer["result"] = (obey(message["params"]) if obey else None) or {}
            except Refusal as refusal:
                answer["error"] = {"code": -32000, "message": str(refusal), "data": refusal.data}
            self._send(answer)

    def _vm_apply(self, assignment):
        status = {"epoch": assignment["epoch"], "generation": assignment["generation"],
                  "power": "running" if assignment["power"] == "on" else "off", "cause": "requested",
                  "applied": assignment["resources"], "settled": True}
        self.vms[assignment["id"]] = {"id": assignment["id"], "name": assignment["name"], "status": status}
        if not self.hold:
            self.report(vms=[self.vms[assignment["id"]]], wait=False)

    def _vm_remove(self, removal):
        self.vms.pop(removal["id"], None)
        self.stray = [vm for vm in self.stray if vm["id"] != removal["id"]]
        self.report(vms=[{"id": removal["id"], "gone": True}], wait=False)

    def _vm_exec(self, request):
        if self.vms[request["id"]]["status"]["power"] != "running":
            raise Refusal("the VM does not run", {
                "code": "conflict", "field": "vm", "value": self.vms[request["id"]]["name"], "remedy": "start it first"})
        return {"exit-code": 0, "signal": 0, "out": "aGVsbG8K", "err": "", "truncated": False}
