#!/usr/bin/env python3
"""Programs in a guest have the time that they are given. A guest that restarts by itself: its agent is found again, and
its VM is the same.

    check_guest.py BUILD-DIR

Needs root: it runs `berth dev` with one host. Exit status 0: nothing was wrong.
"""

import base64

from check_recovery import Wrong, berth
from lab import create, run, runs, vm_of, wait_for

BOOT_S = 120


def boot_id(api, name):
    """Of the guest's kernel; None while its agent does not answer."""
    argv = ["cat", "/proc/sys/kernel/random/boot_id"]
    # A guest that goes down does not answer at all: not for long.
    status, answer = api.call("POST", f"/v1/vms/{name}/exec", {"argv": argv, "timeout-ms": 2000})
    return base64.b64decode(answer["out"]) if status == 200 else None


def restarted_guest_is_found_again(api):
    create(api, "again", "whole")
    wait_for("the VM runs", lambda: runs(api, "again"))
    before = wait_for("the guest's agent answers", lambda: boot_id(api, "again"), BOOT_S)
    api.call("POST", "/v1/vms/again/exec", {"argv": ["sh", "-c", "(sleep 1; reboot -f) >/dev/null 2>&1 &"]})
    wait_for("the guest's agent answers after a restart",
             lambda: boot_id(api, "again") not in (None, before), BOOT_S)
    status = vm_of(api, "again")["status"]
    if status.get("power") != "running" or status.get("restarts", 0) != 0:
        raise Wrong(f"a guest's own restart is not one of the VM: {status}")
    print("a guest that restarts: its agent is found again", flush=True)


def programs_have_the_time_that_they_are_given(api, build):
    """Also more than a call to a host's agent has by itself."""
    create(api, "patient", "whole")
    wait_for("the VM runs", lambda: runs(api, "patient"))
    wait_for("the guest's agent answers", lambda: boot_id(api, "patient"), BOOT_S)
    berth(build, "vm", "exec", "--timeout", "60s", "patient", "--", "sleep", "33")
    print("a program that takes longer than a call: it is waited for", flush=True)
    berth(build, "vm", "delete", "patient")


def check(lab, api, build):
    berth(build, "size", "create", "whole", "--cpu", "1", "--memory", "128MiB", "--net-bw", "20Mbit")
    programs_have_the_time_that_they_are_given(api, build)
    restarted_guest_is_found_again(api)
    berth(build, "vm", "delete", "again")


if __name__ == "__main__":
    run(check)
