#!/usr/bin/env python3
"""An agent that dies in the middle of a launch, and keepers that belong to their VMs.

    check_launch.py BUILD-DIR

Needs root and strace: it runs `berth dev` with a keeper that is held, by strace, just before it names launch.json:
it has the lock of the VM's directory, QEMU's process is there and waits for its execution, and nobody has recorded
it. Exit status 0: nothing was wrong; 77: skipped.
"""

import argparse
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from check_recovery import RUN, Api, Wrong, berth, kill, lab_qemus, left_over, pid_in, processes, set_up

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
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def create(api, name):
    status, answer = api.call("POST", "/v1/vms", {"name": name, "size": "tiny", "image": "demo", "networks": ["blue"]})
    if status not in (200, 201, 202):
        raise Wrong(f"create of {name}: {status} {answer}")
    return answer["subject"]["id"]


def vm_of(api, name):
    status, answer = api.call("GET", f"/v1/vms/{name}")
    return answer if status == 200 else None


def runs(api, name):
    vm = vm_of(api, name)
    return vm if vm and vm.get("status", {}).get("power") == "running" and vm["status"].get("settled") else None


def kill_agent_in_launch(lab, api, name):
    """When QEMU's sockets are there and launch.json is not, its keeper is held."""
    lab.set_keeper(True)
    vm = create(api, name)
    directory = f"{RUN}/host-1/vms/{vm}"
    wait_for("the launch", lambda: os.path.exists(f"{directory}/agent.sock"))
    agent = pid_in(f"{RUN}/host-1.pid")
    kill(agent)
    if os.path.exists(f"{directory}/launch.json"):
        raise Wrong("the launch was recorded before the agent was killed: the test has not tested")
    lab.set_keeper(False)
    return vm, agent


def wait_new_agent(agent):
    return wait_for("a new agent", lambda: (pid := pid_in(f"{RUN}/host-1.pid")) not in (0, agent) and pid)


def log_says(text):
    return text in open(f"{RUN}/host-1.log", errors="replace").read()


def launch_is_taken_over(lab, api):
    vm, agent = kill_agent_in_launch(lab, api, "taken")
    wait_new_agent(agent)
    status = wait_for("the VM runs", lambda: runs(api, "taken"))["status"]
    if status.get("restarts", 0) != 0:
        raise Wrong(f"taken over, and yet restarted: {status}")
    if not log_says(f"{vm}: QEMU") or not log_says("is taken over"):
        raise Wrong("the agent did not take over what the first one had begun")
    if len(lab_qemus()["taken"]) != 1:
        raise Wrong(f"QEMUs: {dict(lab_qemus())}")
    print("an agent killed in a launch: its QEMU is taken over", flush=True)


def launch_of_a_removed_vm_ends(lab, api):
    vm, _ = kill_agent_in_launch(lab, api, "removed")
    api.call("DELETE", "/v1/vms/removed")
    wait_for("the VM is gone", lambda: vm_of(api, "removed") is None)
    time.sleep(HOLD_S)
    left = glob.glob(f"{RUN}/host-1/vms/{vm}") + glob.glob(f"/sys/fs/cgroup/*/berth-dev/host-1/{vm}")
    if left or lab_qemus().get("removed"):
        raise Wrong(f"of a VM that was removed: {left} {dict(lab_qemus())}")
    print("an agent killed in a launch, the VM removed: nothing of it is left", flush=True)


def keeper_dies_too(lab, api):
    vm, agent = kill_agent_in_launch(lab, api, "both")
    # The keeper and the process that would become QEMU.
    for pid, argv in processes("berth-keep").items():
        if not os.path.exists(f"/proc/{pid}/exe") or vm not in open(f"/proc/{pid}/cgroup").read():
            continue
        kill(pid)
    wait_new_agent(agent)
    wait_for("the VM runs", lambda: runs(api, "both"))
    if len(lab_qemus()["both"]) != 1:
        raise Wrong(f"QEMUs: {dict(lab_qemus())}")
    print("agent and keeper killed in a launch: the VM is started anew", flush=True)


def service_group():
    """A group of a hierarchy that limits memory, as a service's would."""
    v1 = os.path.exists("/sys/fs/cgroup/memory/memory.usage_in_bytes")
    return f"/sys/fs/cgroup/{'memory/' if v1 else ''}berth-service-test"


def members(group):
    return [int(pid) for pid in open(f"{group}/cgroup.procs").read().split()]


def stopped_service_leaves_vms(lab, api):
    """The agent in a group of its own, as a service is: what it starts for VMs is not in it."""
    group = service_group()
    os.mkdir(group)
    try:
        agent = pid_in(f"{RUN}/host-1.pid")
        open(f"{group}/cgroup.procs", "w").write(str(agent))
        vm = create(api, "stays")
        wait_for("the VM runs", lambda: runs(api, "stays"))
        launch = json.load(open(f"{RUN}/host-1/vms/{vm}/launch.json"))
        for what in ("keeper-pid", "pid"):
            if launch[what] in members(group):
                raise Wrong(f"{what} of a VM is in the agent's group")
            if f"/{vm}" not in open(f"/proc/{launch[what]}/cgroup").read():
                raise Wrong(f"{what} of a VM is not in the VM's group")
        for pid in members(group):
            kill(pid)
        wait_new_agent(agent)
        wait_for("the host is back", lambda: api.call("GET", "/v1/cluster")[1].get("hosts-up") == 1)
        status = wait_for("the VM runs", lambda: runs(api, "stays"))["status"]
        now = json.load(open(f"{RUN}/host-1/vms/{vm}/launch.json"))
        if status.get("restarts", 0) != 0 or now["launch"] != launch["launch"]:
            raise Wrong(f"the service's end ended a VM: {status}")
    finally:
        wait_for("the service's group is empty", lambda: not members(group))
        os.rmdir(group)
    print("the agent's whole group killed: VM and keeper stay", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    build = parser.parse_args().build
    if shutil.which("strace") is None:
        print("skipped: no strace")
        sys.exit(77)
    os.environ.pop("BERTH_CONTEXT", None)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        lab = Lab(build, folder)
        wrong = None
        try:
            set_up(build, f"{folder}/guest")
            api = Api()
            launch_is_taken_over(lab, api)
            launch_of_a_removed_vm_ends(lab, api)
            keeper_dies_too(lab, api)
            stopped_service_leaves_vms(lab, api)
            for name in ("taken", "both", "stays"):
                berth(build, "vm", "delete", name)
        except Wrong as problem:
            wrong = str(problem)
            subprocess.run(["sh", "-c", f"tail -n 30 {RUN}/*.log"], check=False)
        finally:
            lab.end()
    if wrong is None and left_over():
        wrong = f"left over: {left_over()}"
    if wrong is not None:
        print(f"WRONG: {wrong}")
        sys.exit(1)
    print("nothing is left over")


if __name__ == "__main__":
    main()
