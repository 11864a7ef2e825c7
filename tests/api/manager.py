"""A manager of our own: starts, kills and asks it. Nothing of it is left when it is closed."""

import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.parse

BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", pathlib.Path(__file__).parents[2] / "build"))
MANAGER = BUILD / "src/manager/berth-manager"
BERTH = BUILD / "src/cli/berth"
START_S = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Answer:
    """What came back: `json` is None where the body is none."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body
        is_json = headers.get("Content-Type", "").startswith("application/json")
        self.json = json.loads(body) if is_json else None

    @property
    def error(self):
        return self.json["error"]

    def __repr__(self):
        return f"{self.status} {self.body[:600]!r}"


class Manager:
    """A process with its state in `directory`; restarts on the same ports."""

    def __init__(self, directory, state=None, options=()):
        self.options = options
        self.directory = pathlib.Path(directory)
        self.state = pathlib.Path(state) if state else self.directory / "state"
        self.context_file = self.directory / "context.yaml"
        self.log = self.directory / "manager.log"
        self.api_port, self.agent_port = free_port(), free_port()
        self.process = None
        self.observers = []  # called with (method, path, answer)
        self.start()

    def start(self):
        self.context_file.unlink(missing_ok=True)
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [MANAGER, "--state", self.state, "--listen", "127.0.0.1", "--name", "127.0.0.1",
                 "--api-port", str(self.api_port), "--agent-port", str(self.agent_port),
                 "--context", self.context_file, *self.options], stdout=log, stderr=log)
        end = time.monotonic() + START_S
        while not self.context_file.exists():
            assert self.process.poll() is None, f"the manager did not start: {self.log.read_text()}"
            assert time.monotonic() < end, "the manager takes too long to start"
            time.sleep(0.01)
        text = self.context_file.read_text()
        self.token = re.search(r"^token: (\S+)", text, re.M)[1]
        self.ca = "\n".join(line.strip() for line in text.split("ca: |\n", 1)[1].splitlines()) + "\n"
        self.tls = ssl.create_default_context(cadata=self.ca)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(timeout=30)

    def kill(self):
        self.stop(signal.SIGKILL)

    def restart(self):
        self.kill()
        self.start()

    def alive(self):
        return self.process.poll() is None

    def rss_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+)", status, re.M)[1])

    def close(self):
        if self.alive():
            self.stop()

    def socket(self, port=None, timeout=20):
        return socket.create_connection(("127.0.0.1", port or self.api_port), timeout=timeout)

    def tls_socket(self, timeout=20):
        return self.tls.wrap_socket(self.socket(timeout=timeout), server_hostname="127.0.0.1")

    def connection(self, timeout=30):
        return http.client.HTTPSConnection("127.0.0.1", self.api_port, context=self.tls, timeout=timeout)

    def call(self, method, path, body=None, headers=None, connection=None, token=True, **query):
        """`body`: bytes go as they are, anything else as JSON. Query names are written with _ for -."""
        if query:
            query = {name.replace("_", "-"): str(value).lower() if isinstance(value, bool) else value
                     for name, value in query.items()}
            path += "?" + urllib.parse.urlencode(query)
        send = {"Authorization": f"Bearer {self.token if token is True else token}"} if token else {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        mine = connection or self.connection()
        try:
            mine.request(method, path, body, send | (headers or {}))
            got = mine.getresponse()
            answer = Answer(got.status, got.headers, got.read())
        finally:
            if connection is None:
                mine.close()
        for observe in self.observers:
            observe(method, path, answer)
        return answer

    def get(self, path, **keywords):
        return self.call("GET", path, **keywords)

    def post(self, path, body=None, **keywords):
        return self.call("POST", path, body, **keywords)

    def patch(self, path, body=None, **keywords):
        return self.call("PATCH", path, body, **keywords)

    def delete(self, path, **keywords):
        return self.call("DELETE", path, **keywords)

    def put(self, path, body, **keywords):
        return self.call("PUT", path, body, **keywords)

    def wait(self, operation, seconds=20):
        """The operation when it is over."""
        answer = self.get(f"/v1/operations/{operation['id']}", wait=seconds)
        assert answer.status == 200 and answer.json["state"] != "running", answer
        return answer.json

    def objects(self):
        """All that the API lists, to compare before and after; measurements and times left out."""
        kinds = "hosts sizes images networks vms apps operations join-tokens tenants tokens".split()
        found = {kind: self.get(f"/v1/{kind}", limit=1000).json["items"] for kind in kinds}
        for host in found["hosts"]:
            del host["status"]["since-ms"]
        return found

    def berth(self, *arguments, **environment):
        """Runs the command line against this manager."""
        return subprocess.run(
            [BERTH, *(() if "--context" in arguments else ("--context", self.context_file)), *arguments], capture_output=True, text=True,
            timeout=60, env=os.environ | {"NO_COLOR": "1"} | environment)
