"""What checks.py uses inside the guest: commands, systemd, control groups, processes, and the line to the outside."""

import glob
import json
import os
import pathlib
import re
import subprocess
import time

PORT = "/dev/virtio-ports/berth.results"
GROUPS = pathlib.Path("/sys/fs/cgroup")
PATIENCE_S = 240  # only a hang is that slow, even where everything is emulated


class Wrong(Exception):
    """Something is not as it must be."""


class Skip(Exception):
    """Cannot be checked here, and why."""


class Report:
    """TAP without numbers, which the outside gives."""

    def __init__(self):
        self.port = open(PORT, "w", buffering=1)
        self.failed = False

    def line(self, text):
        print(text, flush=True)
        self.port.write(text + "\n")

    def tell(self, text):
        for line in text.strip().splitlines():
            self.line(f"# {line}")

    def check(self, name, function, *arguments):
        """Whether it held."""
        begun = time.monotonic()
        try:
            function(*arguments)
        except Skip as reason:
            self.line(f"ok - {name} # SKIP {reason}")
            return True
        except (Wrong, OSError, ValueError, KeyError, IndexError, subprocess.SubprocessError) as problem:
            self.failed = True
            self.line(f"not ok - {name}")
            self.tell(f"{type(problem).__name__}: {problem}")
            return False
        self.line(f"ok - {name} ({time.monotonic() - begun:.0f} s)")
        return True


def run(*argv, check=True, text=None, timeout=PATIENCE_S):
    """Standard output."""
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=timeout, errors="replace")
    except subprocess.TimeoutExpired as expired:
        raise Wrong(f"{' '.join(argv)}: no end after {timeout} s; it said {expired.stdout!r}") from expired
    if check and done.returncode != 0:
        raise Wrong(f"{' '.join(argv)}: exit status {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def berth(*argv):
    return run("berth", *argv)


def look(*argv):
    return json.loads(berth(*argv, "-o", "json"))


def until(what, function, *arguments, seconds=PATIENCE_S):
    """Until it answers something true, which is returned."""
    end = time.monotonic() + seconds
    last = None
    while True:
        try:
            last = function(*arguments)
            if last:
                return last
        except (Wrong, OSError, ValueError, KeyError, IndexError) as problem:
            last = problem
        if time.monotonic() > end:
            raise Wrong(f"not so after {seconds} s: {what}: {last}")
        time.sleep(0.5)


def equal(what, found, wanted):
    if found != wanted:
        raise Wrong(f"{what}: found {found!r}, and it should be {wanted!r}")


def property_of(unit, name):
    return run("systemctl", "show", "-P", name, unit).strip()


def read(path):
    return pathlib.Path(path).read_text().strip()


def numbers(path):
    return [int(word) for word in read(path).split()]


def fields(path):
    """Of a file of lines "key value"."""
    return {key: int(value) for key, value in (line.split() for line in read(path).splitlines())}


def launch():
    """What the keeper of the only VM has recorded."""
    paths = glob.glob("/run/berth/vms/*/launch.json")
    equal("number of VMs that run", len(paths), 1)
    return json.loads(read(paths[0]))


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(re.findall(r"^(\w+):\s*(.*)$", text, re.M))


def thread_name(tid):
    return read(f"/proc/{tid}/comm")


def kernel_threads(pids):
    """Those that KVM adds to a VM's group, such as kvm-nx-lpage-recovery: they have no memory of their own."""
    return {pid for pid in pids if "VmSize" not in status_of(pid)}


def processes(program):
    """pids of the processes of a program."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            argv = open(path, "rb").read().split(b"\0")
        except OSError:
            continue
        if os.path.basename(argv[0].decode(errors="replace")) == program:
            found.append(int(path.split("/")[2]))
    return found


def journal(*units):
    arguments = [word for unit in units for word in ("-u", unit)]
    return run("journalctl", "-b", "--no-pager", "-o", "short-monotonic", "-n", "60", *arguments, check=False)
