#!/usr/bin/env python3
"""An agent that dies in the middle of a launch, and keepers that belong to their VMs.

    check_launch.py BUILD-DIR

Needs root and strace: it runs `berth dev` with a keeper that is held, by strace, just before it names launch.json:
it has the lock of the VM's directory, QEMU's process is there and waits for its execution, and nobody has recorded
it. Exit status 0: nothing was wrong; 77: skipped.
"""

import glob
import json
import os
import shutil
import sys
import time

from check_recovery import RUN, Wrong, berth, kill, lab_qemus, pid_in, processes
from lab import HOLD_S, create, run, runs, vm_of, wait_for


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


def check(lab, api, build):
    launch_is_taken_over(lab, api)
    launch_of_a_removed_vm_ends(lab, api)
    keeper_dies_too(lab, api)
    stopped_service_leaves_vms(lab, api)
    for name in ("taken", "both", "stays"):
        berth(build, "vm", "delete", name)


if __name__ == "__main__":
    if shutil.which("strace") is None:
        print("skipped: no strace")
        sys.exit(77)
    run(check)
