import hashlib

import pytest

from agent import Agent
from contract import Document, Recorder
from manager import Manager


@pytest.fixture(scope="module")
def manager(tmp_path_factory):
    """A manager whose answers are all held against its document; the recorder is `manager.recorder`."""
    own = Manager(tmp_path_factory.mktemp("manager"))
    own.document = Document(own.get("/v1/openapi.json").json)
    own.recorder = Recorder(own.document)
    own.observers.append(own.recorder)
    yield own
    own.close()


@pytest.fixture(scope="module")
def agents(manager, tmp_path_factory):
    """Two hosts: 7500 m and 15,872 MiB for VMs on each."""
    directory = tmp_path_factory.mktemp("agents")
    both = [Agent(manager, directory / name, name, {"address": address}).connect()
            for name, address in (("alpha", "10.0.0.1"), ("beta", "10.0.0.2"))]
    yield both
    for agent in both:
        agent.close()


KERNEL = b"\x7fELF: a kernel, as far as the manager can tell"


def image_of(name, content=KERNEL):
    return {"name": name, "kind": "kernel", "files": [
        {"role": "kernel", "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}]}


@pytest.fixture(scope="module")
def catalog(manager):
    """Size small, image demo (whole), network blue."""
    assert manager.post("/v1/sizes", {"name": "small", "resources": {"cpu": 500, "memory": 256}}).status == 201
    image = image_of("demo")
    assert manager.post("/v1/images", image).status == 201
    sha256 = image["files"][0]["sha256"]
    assert manager.put(f"/v1/images/demo/files/{sha256}", KERNEL).json["state"] == "ready"
    assert manager.post("/v1/networks", {"name": "blue"}).status == 201
    return sha256
