#!/usr/bin/env python3
"""`berth dev` leaves a lab that lives alone, and makes good what a killed one has left.

    check_dev.py BUILD-DIR

Needs root. Exit status 0: nothing was wrong.
"""

import os
import signal
import subprocess
import sys

from check_recovery import RUN, Wrong

WAIT_S = 60


def start(build, *options):
    lab = subprocess.Popen([f"{build}/src/cli/berth", "dev", "--hosts", "1", *options], stdout=subprocess.PIPE, text=True)
    if "hosts are up" not in lab.stdout.readline():
        raise Wrong("berth dev does not come up")
    return lab


def expect(build, status, says, *options):
    done = subprocess.run([f"{build}/src/cli/berth", "dev", *options], capture_output=True, text=True, timeout=WAIT_S)
    if done.returncode != status or says not in done.stdout + done.stderr:
        raise Wrong(f"berth dev {options}: {done}")


def check(build):
    for option, value, most in (("--hosts", "0", 64), ("--hosts", "65", 64), ("--api-port", "65536", 65535),
                                ("--agent-port", "x", 65535)):
        expect(build, 2, f"({option}: '{value}'); give a number from 1 to {most}", option, value)
    lab = start(build)
    manager = open(f"{RUN}/manager.pid").read()
    expect(build, 4, f"a lab runs on this machine already (process: '{lab.pid}')")
    expect(build, 4, "a lab runs on this machine already", "--capacity", "nonsense=1")
    if lab.poll() is not None or open(f"{RUN}/manager.pid").read() != manager:
        raise Wrong("the first lab was touched")
    print("a second berth dev leaves the first one alone", flush=True)
    lab.send_signal(signal.SIGKILL)
    lab.wait(WAIT_S)
    lab = start(build)
    print("what a killed one has left is removed", flush=True)
    expect(build, 0, "nothing is left of a lab", "--clean")
    lab.wait(WAIT_S)
    if os.path.exists(RUN):
        raise Wrong(f"{RUN} is left")
    print("berth dev --clean ends the one that runs", flush=True)


if __name__ == "__main__":
    try:
        check(sys.argv[1])
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(1)
