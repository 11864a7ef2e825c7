"""A `berth dev` of one host for the checks in this folder: its programs side by side in a folder, so that the agent
takes the keeper that lies there, which a check may hold.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time

from check_recovery import Api, Wrong, end_lab, judged, set_up

HOLD_S = 3
WAIT_S = 60


def wait_for(what, look, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise Wrong(f"not within {seconds} s: {what}")
        time.sleep(0.005)
    return found


class Lab:
    """Programs side by side in a folder, so that the agent takes the keeper that lies there."""

    def __init__(self, build, folder):
        self.folder = folder
        for name, where in (("berth", "cli"), ("berth-manager", "manager"), ("berth-agent", "agent")):
            shutil.copy(f"{build}/src/{where}/{name}", f"{folder}/{name}")
        self.keeper = os.path.abspath(f"{build}/src/keep/berth-keep")
        self.set_keeper(False)
        self.process = subprocess.Popen([f"{folder}/berth", "dev", "--hosts", "1"], stdout=subprocess.PIPE, text=True)
        if "hosts are up" not in self.process.stdout.readline():
            raise Wrong("berth dev does not come up")

    def set_keeper(self, held):
        hold = f"strace -D -qq -f -b execve -o /dev/null -e trace=rename -e inject=rename:delay_enter={HOLD_S}s:when=1 "
        path = f"{self.folder}/berth-keep"
        with open(f"{path}.new", "w") as file:
            file.write(f"#!/bin/sh\nexec {hold if held else ''}{self.keeper} \"$@\"\n")
        os.chmod(f"{path}.new", 0o755)
        os.rename(f"{path}.new", path)

    def end(self):
        end_lab(self.process)


def create(api, name, size="tiny"):
    status, answer = api.call("POST", "/v1/vms", {"name": name, "size": size, "image": "demo", "networks": ["blue"]})
    if status not in (200, 201, 202):
        raise Wrong(f"create of {name}: {status} {answer}")
    return answer["subject"]["id"]


def vm_of(api, name):
    status, answer = api.call("GET", f"/v1/vms/{name}")
    return answer if status == 200 else None


def runs(api, name):
    vm = vm_of(api, name)
    return vm if vm and vm.get("status", {}).get("power") == "running" and vm["status"].get("settled") else None


def run(check):
    """`check(lab, api, build)` in a lab of the build that the command line names, which must leave nothing behind."""
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    build = parser.parse_args().build
    os.environ.pop("BERTH_CONTEXT", None)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        lab = Lab(build, folder)
        with judged(lab.end, 30):
            set_up(build, f"{folder}/guest")
            check(lab, Api(), build)
