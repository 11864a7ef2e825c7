#!/usr/bin/env python3
"""Figures of a lab of three hosts with real guests, each beside what it is compared with.

    bench_lab.py BUILD-DIR [--vms N] [--deaths N] [--only create|death|resize|rest]

Needs root: it runs `berth dev`. Prints a table; asserts nothing.

    up            berth dev until three hosts are connected, the second time (QEMU is probed once a boot)
    create        from the request to the API's answer "running", less the time from QEMU's execution to its
                  monitor's first answer, as the host logs it
    death         kill -9 of a QEMU until the host has noticed it, has recorded it and cleared up, has started the next
    resize        what the guest measures after a resize, as a ratio to before, beside the ratio asked for
    resident      memory of the programs at rest
"""

import argparse
import datetime
import glob
import http.client
import json
import os
import re
import signal
import ssl
import statistics
import subprocess
import tempfile
import time

RUN = "/run/berth-dev"
CONTEXT = "/run/berth/context.yaml"


class Lab:
    def __init__(self, build):
        self.build = build
        begun = time.monotonic()
        self.process = subprocess.Popen([f"{build}/src/cli/berth", "dev", "--capacity",
                                         "cpu=8,memory=4GiB,disk=20GiB,disk-bw=400,net-bw=4Gbit"],
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if "hosts are up" not in line:
            raise SystemExit("berth dev does not come up")
        self.up_s = time.monotonic() - begun

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def berth(self, *argv, check=True):
        done = subprocess.run([f"{self.build}/src/cli/berth", *argv], capture_output=True, text=True)
        if check and done.returncode != 0:
            raise SystemExit(f"berth {' '.join(argv)}: {done.stderr}")
        return done.stdout

    def in_guest(self, name, *argv):
        return json.loads(self.berth("vm", "exec", name, "--", *argv))

    def wait_guest(self, name):
        end = time.monotonic() + 180
        while subprocess.run([f"{self.build}/src/cli/berth", "vm", "exec", name, "--", "/bin/true"],
                             capture_output=True).returncode != 0:
            if time.monotonic() > end:
                raise SystemExit(f"{name} does not answer")
            time.sleep(0.3)


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def say(what, figure, beside=""):
    print(f"{what:<44} {figure:>14}   {beside}", flush=True)


class Api:
    """The manager's HTTP API over one connection, as a client of it keeps it."""

    def __init__(self):
        text = open(CONTEXT).read()
        self.headers = {"Authorization": "Bearer " + re.search(r"^token: (\S+)", text, re.M)[1],
                        "Content-Type": "application/json"}
        host, port = re.search(r"^url: https://([^:]+):(\d+)", text, re.M).groups()
        ca = "\n".join(line.strip() for line in text.split("ca: |\n", 1)[1].splitlines())
        tls = ssl.create_default_context(cadata=ca + "\n")
        self.connection = http.client.HTTPSConnection(host, int(port), context=tls, timeout=120)

    def call(self, method, path, body=None):
        self.connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
        answer = self.connection.getresponse()
        data = json.loads(answer.read() or b"{}")
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {data}")
        return data


def log_of(vm):
    return f"{RUN}/{vm['placement']['host-name']}.log"


def log_times(log, vm, since, pattern):
    """When lines of the host's log about the VM match, as (datetime, match), not before `since`."""
    found = []
    for line in open(log, errors="replace"):
        match = re.match(rf"\*\* Message: (\d+):(\d+):([\d.]+): {vm}: {pattern}", line)
        if match:
            at = since.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
            at += datetime.timedelta(seconds=float(match[3]))
            # The log knows milliseconds only.
            if at >= since - datetime.timedelta(milliseconds=1):
                found.append((at, match))
    return found


def wait_for(what, look, seconds=30):
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise SystemExit(f"not seen within {seconds} s: {what}")
        time.sleep(0.02)
    return found


def ms(delta):
    return delta.total_seconds() * 1000


def set_up(lab, folder):
    subprocess.run(["images/build-demo-guest", folder], check=True, stdout=subprocess.DEVNULL)
    lab.berth("image", "add", "demo", "--kernel", f"{folder}/vmlinuz", "--initrd", f"{folder}/initrd.img",
              "--cmdline", open(f"{folder}/cmdline").read().strip())
    lab.berth("size", "create", "m", "--cpu", "500m", "--memory", "192MiB", "--net-bw", "40Mbit")
    lab.berth("size", "create", "d", "--cpu", "1", "--memory", "256MiB", "--disk", "1GiB", "--disk-bw", "8", "--net-bw",
              "40Mbit")
    lab.berth("network", "create", "blue")


def steps_of(log, vm, since):
    """Milliseconds of each effect of a start; what QEMU itself took until its monitor answered."""
    took, qemu = {}, 0
    for at, match in log_times(log, vm, since, r"(\w+) done in ([\d.]+) ms(?:, QEMU's own ([\d.]+))?"):
        took.setdefault(match[4], (at, float(match[5])))
        qemu = qemu or float(match[6] or 0)
    return took, qemu


def create_one(api, name):
    """Creates a VM by the API: whole time, QEMU's own, and the agent's steps."""
    since = datetime.datetime.now()
    begun = time.monotonic()
    api.call("POST", "/v1/vms?wait=60", {"name": name, "size": "m", "image": "demo", "networks": ["blue"]})
    whole = (time.monotonic() - begun) * 1000
    vm = api.call("GET", f"/v1/vms/{name}")
    took, qemu = wait_for(f"start of {name}", lambda: (s := steps_of(log_of(vm), vm["id"], since))[0].get("resume") and s)
    first = took["prepare"][0] - datetime.timedelta(milliseconds=took["prepare"][1])
    steps = {step: ms for step, (_, ms) in took.items()}
    steps["attach"] -= qemu
    steps["until the agent prepares"] = ms(first - since)
    return vm, whole, qemu, steps


def bench_create(api, count):
    samples = []
    for i in range(count + 3):
        vm, whole, qemu, steps = create_one(api, f"c-{i}")
        if i >= 3:  # the first on each host fetches the image
            samples.append((whole, whole - qemu, qemu, steps))
        api.call("DELETE", f"/v1/vms/c-{i}?wait=60")
    own = [s[1] for s in samples]
    say("create to running, p50", f"{statistics.median(s[0] for s in samples):.0f} ms",
        f"of it QEMU from exec to its monitor's answer {statistics.median(s[2] for s in samples):.0f} ms")
    say("  Berth's share, p50", f"{statistics.median(own):.0f} ms", "goal 50 ms")
    say("  Berth's share, p99", f"{percentile(own, 0.99):.0f} ms", f"of {len(own)}; goal 150 ms")
    for step in ("until the agent prepares", "prepare", "launch", "attach", "tune", "resume"):
        values = [s[3].get(step, 0) for s in samples]
        say(f"    {step}, p50", f"{statistics.median(values):.1f} ms", f"worst {max(values):.0f} ms")


def qemu_of(name):
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            argv = open(path, "rb").read().decode(errors="replace")
        except OSError:
            continue
        if argv.startswith("/usr/bin/qemu-system") and f"guest={name}," in argv.replace("\0", " "):
            return int(path.split("/")[2])
    raise SystemExit(f"no QEMU of {name}")


def bench_death(api, count):
    """A VM of its own for each kill: the first restart comes at once, later ones after a pause."""
    steps = {"QEMU has ended": [], "release done": [], "launch done": []}
    for i in range(count):
        vm, *_ = create_one(api, f"dies-{i}")
        pid = qemu_of(f"dies-{i}")
        killed = datetime.datetime.now()
        os.kill(pid, signal.SIGKILL)
        for what, values in steps.items():
            at = wait_for(what, lambda w=what: log_times(log_of(vm), vm["id"], killed, w))[0][0]
            values.append(ms(at - killed))
        api.call("DELETE", f"/v1/vms/dies-{i}?wait=60")
    for what, values, goal in (("death of QEMU noticed", steps["QEMU has ended"], ""),
                               ("  recorded on disk and released", steps["release done"], "; goal 50 ms at p99"),
                               ("  the next QEMU started", steps["launch done"], "")):
        say(f"{what}, p50", f"{statistics.median(values):.0f} ms", f"p99 {percentile(values, 0.99):.0f} ms of {len(values)}{goal}")


def both_ways(set_to, measure, first, second, rounds=3):
    """Measures at two settings by turns, so that a busy minute of the machine falls on both; the pairs."""
    pairs = []
    for _ in range(rounds):
        pair = []
        for value in (first, second):
            set_to(value)
            time.sleep(0.5)
            pair.append(measure())
        pairs.append(pair)
    return pairs


def resize_line(what, pairs, first, second):
    """The ratio that the guest measures, as the median of the rounds, beside the one asked for."""
    ratio = statistics.median(b / a for a, b in pairs)
    wanted = second / first
    values = " ".join(f"{a:.4g}/{b:.4g}" for a, b in pairs)
    say(f"resize {what}: guest's ratio", f"{ratio:.3f}", f"asked for {wanted:.3f} ({(ratio / wanted - 1) * 100:+.0f} %; goal 10 %): {values}")


def absolute_line(what, pairs, first, second, unit):
    at = [statistics.median(pair[i] for pair in pairs) for i in (0, 1)]
    say(f"  at {first:g} and {second:g} {unit}", f"{at[0]:.1f}, {at[1]:.1f}",
        f"{unit} measured inside: {(at[0] / first - 1) * 100:+.0f} %, {(at[1] / second - 1) * 100:+.0f} %; goal 10 %")


def resize_cpu(lab):
    rate = lambda: lab.in_guest("r-1", "berth-load", "cpu", "4")["loops_per_s"]
    for first, second in ((250, 375), (300, 600)):
        pairs = both_ways(lambda m: lab.berth("vm", "resize", "r-1", "--cpu", f"{m}m"), rate, first, second)
        resize_line(f"cpu {first}m to {second}m", pairs, first, second)
    lab.berth("vm", "resize", "r-1", "--cpu", "1")


def resize_disk(lab):
    rate = lambda: lab.in_guest("r-1", "berth-load", "disk", "/dev/vda", "6")["mb_per_s"]
    pairs = both_ways(lambda m: lab.berth("vm", "resize", "r-1", "--disk-bw", f"{m}"), rate, 8, 4, 2)
    resize_line("disk-bw 8 to 4 MB/s", pairs, 8, 4)
    absolute_line("disk-bw", pairs, 8, 4, "MB/s")


def resize_net(lab):
    address = json.loads(lab.berth("vm", "show", "r-2", "-o", "json"))["placement"]["nics"][0]["ipv4"]

    def rate():
        sink = subprocess.Popen([f"{lab.build}/src/cli/berth", "vm", "exec", "--timeout", "60s", "r-2", "--", "berth-load",
                                 "net-sink", "5001"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        sent = lab.in_guest("r-1", "berth-load", "net-send", address, "5001", "6")["mbit_per_s"]
        sink.wait(60)
        return sent

    pairs = both_ways(lambda m: lab.berth("vm", "resize", "r-1", "--net-bw", f"{m}Mbit"), rate, 16, 8, 2)
    resize_line("net-bw 16 to 8 Mbit/s", pairs, 16, 8)
    absolute_line("net-bw", pairs, 16, 8, "Mbit/s")


def resize_memory(lab):
    def available():
        time.sleep(2)
        return lab.in_guest("r-1", "berth-load", "mem")["available_mib"]

    # What a balloon takes stays in MemTotal when it may be taken back under need (deflate-on-oom).
    pairs = both_ways(lambda m: lab.berth("vm", "resize", "r-1", "--memory", f"{m}MiB"), available, 256, 192)
    lost = statistics.median(a - b for a, b in pairs)
    values = " ".join(f"{a:.0f}/{b:.0f}" for a, b in pairs)
    say("resize memory 256 to 192 MiB: guest lost", f"{lost:.1f} MiB",
        f"asked for 64 MiB ({(lost / 64 - 1) * 100:+.0f} %; goal 10 %); available before/after: {values}")


def bench_resize(lab):
    for name in ("r-1", "r-2"):
        lab.berth("vm", "create", name, "--size", "d", "--image", "demo", "--network", "blue", "--wait=60")
    for name in ("r-1", "r-2"):
        lab.wait_guest(name)
    time.sleep(3)  # what a guest does just after its start must not count
    resize_cpu(lab)
    resize_disk(lab)
    resize_net(lab)
    resize_memory(lab)
    for name in ("r-1", "r-2"):
        lab.berth("vm", "delete", name)


def resident(pid):
    text = open(f"/proc/{pid}/status").read()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024, int(re.search(r"RssAnon:\s+(\d+)", text)[1]) / 1024


def processor_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bench_rest(lab):
    for i in range(10):
        lab.berth("vm", "create", f"idle-{i}", "--size", "m", "--image", "demo", "--network", "blue", "--host", "host-1", "--wait=60")
    time.sleep(45)
    agent = int(open(f"{RUN}/host-1.pid").read())
    before = processor_seconds(agent)
    time.sleep(20)
    say("agent with ten idle VMs", f"{(processor_seconds(agent) - before) / 20 * 100:.2f} %", "of one CPU; goal 0.5 %")
    keeper = json.load(open(glob.glob(f"{RUN}/host-1/vms/*/launch.json")[0]))["keeper-pid"]
    for what, pid, goal in (("manager", int(open(f"{RUN}/manager.pid").read()), 40), ("agent", agent, 15), ("keeper", keeper, 2)):
        whole, own = resident(pid)
        say(f"{what} resident", f"{whole:.1f} MiB", f"{own:.1f} MiB of it its own; goal {goal} MiB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--vms", type=int, default=30, help="how many are created one after the other")
    parser.add_argument("--deaths", type=int, default=20)
    parser.add_argument("--only", choices=["create", "death", "resize", "rest"], action="append")
    options = parser.parse_args()
    os.environ.pop("BERTH_CONTEXT", None)
    Lab(options.build).end()
    lab = Lab(options.build)
    try:
        say("berth dev with three hosts is up", f"{lab.up_s:.2f} s", "goal 2 s")
        with tempfile.TemporaryDirectory() as folder:
            set_up(lab, folder)
        api = Api()
        for name, run in (("create", lambda: bench_create(api, options.vms)), ("death", lambda: bench_death(api, options.deaths)),
                          ("resize", lambda: bench_resize(lab)), ("rest", lambda: bench_rest(lab))):
            if not options.only or name in options.only:
                run()
                say("  load average meanwhile", f"{os.getloadavg()[0]:.1f}", f"on {os.cpu_count()} CPUs, other programs included")
    finally:
        lab.end()


if __name__ == "__main__":
    main()
