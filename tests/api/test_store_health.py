"""The manager on a file system of 4 MiB that fills up: it refuses changes and says why, still reads, and goes on
when there is room again. Nothing that it acknowledged is lost."""

import concurrent.futures
import contextlib
import os
import subprocess
import time

import pytest

from agent import Agent
from conftest import KERNEL, image_of
from contract import Document, Recorder
from manager import Manager

WAIT_S = 20


@pytest.fixture
def small(tmp_path):
    """A file system of 4 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "berth-test", place], capture_output=True)
    if done.returncode != 0:
        pytest.skip("cannot mount a tmpfs here: " + done.stderr.decode().strip())
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def manager(small, tmp_path):
    own = Manager(tmp_path, state=small / "state")
    own.observers.append(Recorder(Document(own.get("/v1/openapi.json").json)))
    yield own
    own.close()


def size_of(number):
    return {"name": f"size-{number:05d}", "resources": {"cpu": 100, "memory": 64}, "description": "x" * 200}


def fill(place):
    """To the last byte."""
    with open(place / "ballast", "wb") as ballast, contextlib.suppress(OSError):
        while True:
            os.write(ballast.fileno(), bytes(4096))


def create_until_refused(manager, start):
    """Sizes one after another; the names that were acknowledged, and the refusal."""
    made = []
    for number in range(start, start + 5000):
        answer = manager.post("/v1/sizes", size_of(number))
        if answer.status != 201:
            return made, answer
        made.append(size_of(number)["name"])
    raise AssertionError("a full disk refuses nothing")


def names(manager):
    found, after = [], {}
    while True:
        page = manager.get("/v1/sizes", limit=1000, **after).json
        found += [size["name"] for size in page["items"]]
        if "next" not in page:
            return found
        after = {"after": page["next"]}


def refuses_and_says_so(manager, refusal):
    for answer in (refusal, manager.post("/v1/sizes", size_of(99998)), manager.delete("/v1/sizes/size-00000")):
        assert answer.status == 503 and answer.error["code"] == "unavailable", answer
        assert "full" in answer.error["message"] and answer.error["remedy"], answer
    state = manager.get("/v1/cluster").json
    assert state["writable"] is False and "full" in state["reason"]


def comes_back(manager):
    end = time.monotonic() + WAIT_S
    while not manager.get("/v1/cluster").json["writable"]:
        assert time.monotonic() < end, "there is room, and the manager still takes no changes"
        time.sleep(0.1)
    assert "reason" not in manager.get("/v1/cluster").json


def test_full_and_emptied(manager, small):
    acknowledged = [size_of(n)["name"] for n in range(5)]
    for number in range(5):
        assert manager.post("/v1/sizes", size_of(number)).status == 201
    start = 5
    for kill in (False, True, False):
        process = manager.process
        fill(small)
        made, refusal = create_until_refused(manager, start)
        acknowledged += made
        start += len(made) + 1
        refuses_and_says_so(manager, refusal)
        assert manager.process is process and manager.alive(), "the manager ended"
        assert names(manager) == acknowledged
        if kill:
            manager.restart()
            refuses_and_says_so(manager, manager.post("/v1/sizes", size_of(start)))
            assert names(manager) == acknowledged
        (small / "ballast").unlink()
        comes_back(manager)
        assert manager.post("/v1/sizes", size_of(start)).status == 201
        acknowledged.append(size_of(start)["name"])
        start += 1
    manager.restart()
    assert names(manager) == acknowledged


def test_many_at_once(manager, small):
    """Clients whose requests were under way when the disk was full: whatever was acknowledged is there."""
    fill(small)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        runs = list(pool.map(lambda n: create_until_refused(manager, n * 5000), range(16)))
    acknowledged = {name for made, _ in runs for name in made}
    for _, refusal in runs:
        assert refusal.status == 503 and refusal.error["remedy"], refusal
    assert set(names(manager)) == acknowledged, "what was refused is not there either"
    (small / "ballast").unlink()
    comes_back(manager)
    manager.restart()
    assert set(names(manager)) == acknowledged


def test_hosts_and_who_waits(manager, small, tmp_path):
    """Who waits for an operation is told; hosts keep their VMs and come back; the operation goes on then."""
    manager.post("/v1/sizes", size_of(0))
    image = image_of("demo")
    manager.post("/v1/images", image)
    manager.put(f"/v1/images/demo/files/{image['files'][0]['sha256']}", KERNEL)
    agent = Agent(manager, tmp_path / "agent", "alpha").connect()
    vm = {"size": size_of(0)["name"], "image": "demo"}
    assert manager.post("/v1/vms", vm | {"name": "first"}, wait=20).json["state"] == "done"
    agent.hold = True
    begun = manager.post("/v1/vms", vm | {"name": "second"}).json
    fill(small)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(manager.get, f"/v1/operations/{begun['id']}", wait=60)
        time.sleep(0.2)
        refuses_and_says_so(manager, create_until_refused(manager, 1)[1])
        assert waiting.result(timeout=20).status == 503
    assert manager.get("/v1/vms/first").json["status"]["power"] == "running"
    agent.close()
    (small / "ballast").unlink()
    comes_back(manager)
    agent.hold = False
    agent.connect()
    assert manager.wait(begun)["state"] == "done"
    assert manager.post("/v1/vms", vm | {"name": "third"}, wait=20).json["state"] == "done"
    agent.close()
