#!/usr/bin/env python3
"""Kills the manager, agents, keepers and QEMUs while VMs are created, resized and removed; then compares what
runs with what the store says, and looks for what is left over.

    check_recovery.py BUILD-DIR [--rounds N] [--seed S]

Needs root: it runs `berth dev`. Prints its seed first; the same seed asks for the same things in the same order
(when each kill strikes within them is the machine's affair). Exit status 0: nothing was wrong.
"""

import argparse
import collections
import contextlib
import glob
import http.client
import json
import os
import random
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import time

RUN = "/run/berth-dev"
STATE = "/var/lib/berth-dev"
CONTEXT = "/run/berth/context.yaml"
HOSTS = 3
SETTLE_S = 120
VMS_MAX = 9
ENDS_MAX = 6  # of one VM: each makes its next start wait twice as long, the ninth 128 s


class Wrong(Exception):
    """Something is not as it must be."""


class Api:
    """The manager's HTTP API; calls fail while it is away."""

    def __init__(self):
        text = open(CONTEXT).read()
        self.token = re.search(r"^token: (\S+)", text, re.M)[1]
        host, port = re.search(r"^url: https://([^:]+):(\d+)", text, re.M).groups()
        self.address = (host, int(port))
        ca = "\n".join(line.strip() for line in text.split("ca: |\n", 1)[1].splitlines())
        self.tls = ssl.create_default_context(cadata=ca + "\n")

    def call(self, method, path, body=None):
        connection = http.client.HTTPSConnection(*self.address, context=self.tls, timeout=10)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            data = json.loads(answer.read() or b"{}")
            return answer.status, data
        finally:
            connection.close()

    def items(self, kind):
        status, data = self.call("GET", f"/v1/{kind}?limit=1000")
        if status != 200:
            raise OSError(f"{kind}: {status} {data}")
        return data["items"]

    def try_call(self, method, path, body=None):
        """For requests that may fall into a kill; the status, or None."""
        try:
            status, answer = self.call(method, path, body)
            if status == 400:
                raise Wrong(f"{method} {path}: {answer}")
            return status
        except (OSError, http.client.HTTPException, ssl.SSLError, ValueError):
            return None


def processes(program):
    """pid → argv of the processes of a program."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            argv = open(path, "rb").read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if os.path.basename(argv[0]) == program:
            found[int(path.split("/")[2])] = argv
    return found


def guest_of(argv):
    match = re.search(r"guest=([^,]+)", " ".join(argv))
    return match[1] if match else None


def lab_qemus():
    """VM name → pids, of QEMUs of this lab: those whose group is below ours."""
    found = collections.defaultdict(list)
    for pid, argv in processes("qemu-system-x86_64").items():
        try:
            groups = open(f"/proc/{pid}/cgroup").read()
            zombie = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            continue
        if "/berth-dev/" in groups and not zombie:
            found[guest_of(argv)].append(pid)
    return found


def pid_in(path):
    try:
        return int(open(path).read())
    except (OSError, ValueError):
        return 0


def kill(pid):
    if pid > 1:
        try:
            os.kill(pid, signal.SIGKILL)
            return True
        except ProcessLookupError:
            pass
    return False


def keepers():
    pids = []
    for path in glob.glob(f"{RUN}/host-*/vms/*/launch.json"):
        try:
            pids.append(json.load(open(path))["keeper-pid"])
        except (OSError, ValueError, KeyError):
            pass
    return [pid for pid in pids if pid in processes("berth-keep")]


class Killer:
    def __init__(self, rng):
        self.rng = rng
        self.count = collections.Counter()
        self.ends = collections.Counter()  # of each VM

    def strike(self):
        kinds = self.rng.choice([["manager"], ["agent"], ["qemu"], ["keeper"], ["manager", "agent"], ["agent", "qemu"],
                                 ["keeper", "qemu"], ["manager", "agent", "keeper", "qemu"]])
        for kind in kinds:
            if self.one(kind):
                self.count[kind] += 1

    def one(self, kind):
        if kind == "manager":
            return kill(pid_in(f"{RUN}/manager.pid"))
        if kind == "agent":
            return kill(pid_in(f"{RUN}/host-{self.rng.randint(1, HOSTS)}.pid"))
        return self.keeper() if kind == "keeper" else self.qemu()

    def keeper(self):
        pids = sorted(keepers())
        return bool(pids) and kill(self.rng.choice(pids))

    def qemu(self):
        vms = {pid: name for name, pids in lab_qemus().items() for pid in pids if self.ends[name] < ENDS_MAX}
        pid = self.rng.choice(sorted(vms)) if vms else 0
        self.ends[vms.get(pid)] += 1
        return kill(pid)


class Work:
    """Creates, resizes and removes VMs; remembers what was acknowledged."""

    def __init__(self, api, rng):
        self.api, self.rng = api, rng
        self.next = 0
        self.there = set()   # acknowledged creations
        self.unsure = set()  # asked for, and the answer was lost
        self.gone = set()    # acknowledged removals

    def step(self):
        action = self.rng.random()
        if action < 0.5 and len(self.there) < VMS_MAX:
            self.create()
        elif action < 0.75 and self.there:
            name = self.rng.choice(sorted(self.there))
            self.api.try_call("POST", f"/v1/vms/{name}/resize",
                              {"cpu": self.rng.choice([50, 80, 120]), "net-bw": self.rng.choice([10, 30])})
        elif self.there:
            self.remove(self.rng.choice(sorted(self.there)))

    def create(self):
        self.next += 1
        name = f"r-{self.next}"
        spec = {"name": name, "size": "tiny", "image": "demo", "networks": ["blue"]}
        status = self.api.try_call("POST", "/v1/vms", spec)
        if status in (200, 201, 202):
            self.there.add(name)
        elif status is None or status >= 500:
            self.unsure.add(name)

    def remove(self, name):
        status = self.api.try_call("DELETE", f"/v1/vms/{name}")
        if status in (200, 202, 204):
            self.gone.add(name)
            self.there.discard(name)
        else:
            self.unsure.add(name)
            self.there.discard(name)


def expect_equal(what, found, wanted):
    found, wanted = sorted(found), sorted(wanted)
    if found != wanted:
        raise Wrong(f"{what}: found {found}, and it should be {wanted}")


def listing(pattern):
    return [os.path.basename(path) for path in glob.glob(pattern)]


def links(host, prefix):
    out = subprocess.run(["nsenter", f"--net=/run/netns/bd-{host}", "ip", "-br", "link"], capture_output=True, text=True,
                         check=True).stdout
    return [line.split()[0].split("@")[0] for line in out.splitlines() if line.startswith(prefix)]


def check_objects(work, vms):
    names = {vm["name"] for vm in vms}
    lost = work.there - names
    if lost:
        raise Wrong(f"acknowledged and not there: {sorted(lost)}")
    undead = names & work.gone
    if undead:
        raise Wrong(f"removed and still there: {sorted(undead)}")
    strangers = names - work.there - work.unsure
    if strangers:
        raise Wrong(f"nobody asked for: {sorted(strangers)}")
    for vm in vms:
        status = vm.get("status", {})
        if status.get("power") != "running" or not status.get("settled"):
            raise Wrong(f"{vm['name']} is not running and settled: {status}")


def check_hosts(vms, host_names):
    qemus = lab_qemus()
    expect_equal("QEMUs", [name for name, pids in qemus.items() for _ in pids], [vm["name"] for vm in vms])
    uids = [os.stat(f"/proc/{pid}").st_uid for pids in qemus.values() for pid in pids]
    expect_equal("uids", set(uids), uids)
    for host in host_names:
        mine = [vm["id"] for vm in vms if vm["placement"]["host"] == host_names[host]]
        expect_equal(f"run directories of {host}", listing(f"{RUN}/{host}/vms/*"), mine)
        for group in glob.glob(f"/sys/fs/cgroup/*/berth-dev/{host}") + glob.glob(f"/sys/fs/cgroup/berth-dev/{host}"):
            found = [name for name in os.listdir(group) if os.path.isdir(f"{group}/{name}")]
            expect_equal(f"groups in {group}", found, mine)
        expect_equal(f"number of taps of {host}", [len(links(host, "bt"))], [len(mine)])
        extra = set(listing(f"{STATE}/{host}/disks/*")) - set(mine)
        if extra:
            raise Wrong(f"disks of nobody on {host}: {sorted(extra)}")
    pids = {json.load(open(path))["keeper-pid"] for path in glob.glob(f"{RUN}/host-*/vms/*/launch.json")}
    stray = set(processes("berth-keep")) - pids
    if stray:
        raise Wrong(f"keepers of nobody: {sorted(stray)}")


def settle(api, work):
    end = time.monotonic() + SETTLE_S
    while True:
        try:
            vms = api.items("vms")
            # What was asked for and not answered is now one or the other.
            work.there |= work.unsure & {vm["name"] for vm in vms if not vm.get("removing")}
            open_operations = [o for o in api.items("operations") if o.get("state") not in ("done", "failed", "cancelled")]
            if open_operations:
                raise Wrong(f"operations that never end: {open_operations[:3]}")
            hosts = {host["name"]: host["id"] for host in api.items("hosts")}
            check_objects(work, vms)
            check_hosts(vms, hosts)
            work.unsure.clear()
            return
        except (Wrong, OSError, http.client.HTTPException, ValueError, KeyError) as problem:
            if time.monotonic() > end:
                raise Wrong(f"after {SETTLE_S} s: {problem!r}") from problem
            time.sleep(0.5)


def berth(build, *argv):
    done = subprocess.run([f"{build}/src/cli/berth", *argv], capture_output=True, text=True)
    if done.returncode != 0:
        raise Wrong(f"berth {' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def set_up(build, folder):
    subprocess.run(["images/build-demo-guest", folder], check=True, stdout=subprocess.DEVNULL)
    berth(build, "image", "add", "demo", "--kernel", f"{folder}/vmlinuz", "--initrd", f"{folder}/initrd.img",
          "--cmdline", open(f"{folder}/cmdline").read().strip())
    berth(build, "size", "create", "tiny", "--cpu", "100m", "--memory", "96MiB", "--net-bw", "20Mbit")
    berth(build, "network", "create", "blue")


def play(api, rounds, seed):
    rng = random.Random(seed)
    work, killer = Work(api, rng), Killer(rng)
    for number in range(1, rounds + 1):
        for _ in range(rng.randint(2, 5)):
            work.step()
            time.sleep(rng.random() * 0.3)
        killer.strike()
        for _ in range(rng.randint(0, 2)):
            work.step()
        settle(api, work)
        print(f"round {number}: {len(work.there)} VMs run as the store says", flush=True)
    for name in sorted(work.there):
        work.remove(name)
    settle(api, work)
    print("killed: " + ", ".join(f"{n} {kind}s" for kind, n in sorted(killer.count.items())))


def left_over():
    found = glob.glob("/run/netns/bd-*") + glob.glob("/sys/fs/cgroup/*/berth-dev") + glob.glob("/sys/fs/cgroup/berth-dev")
    return found + [path for path in (RUN, STATE) if os.path.exists(path)]


@contextlib.contextmanager
def judged(end, lines, note=""):
    """What goes wrong within is told, with the last lines of each program; after `end()` nothing may be left over."""
    wrong = None
    try:
        yield
    except Wrong as problem:
        wrong = str(problem)
        subprocess.run(["sh", "-c", f"tail -n {lines} {RUN}/*.log"], check=False)
    finally:
        end()
    if wrong is None and left_over():
        wrong = f"left over: {left_over()}"
    if wrong is not None:
        print(f"WRONG{note}: {wrong}")
        sys.exit(1)
    print("nothing is left over")


def end_lab(process):
    process.send_signal(signal.SIGTERM)
    process.wait(60)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    os.environ.pop("BERTH_CONTEXT", None)
    lab = subprocess.Popen([f"{options.build}/src/cli/berth", "dev", "--hosts", str(HOSTS), "--capacity",
                            "cpu=2,memory=2GiB,disk=10GiB,disk-bw=100,net-bw=1Gbit"], stdout=subprocess.PIPE, text=True)
    with judged(lambda: end_lab(lab), 15, f" (seed {options.seed})"):
        if "hosts are up" not in lab.stdout.readline():
            raise Wrong("berth dev does not come up")
        with tempfile.TemporaryDirectory() as folder:
            set_up(options.build, folder)
        play(Api(), options.rounds, options.seed)


if __name__ == "__main__":
    main()
