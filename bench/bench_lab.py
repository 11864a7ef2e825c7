#!/usr/bin/env python3
"""Figures of a lab of three hosts with real guests, each beside what it is compared with.

    bench_lab.py BUILD-DIR [--vms N]

Needs root: it runs `berth dev`. Prints a table; asserts nothing.

    up            berth dev until three hosts are connected, the second time (QEMU is probed once a boot)
    create        from the request to QEMU running, without what QEMU itself takes: a VM's time from request to
                  "running" less the time from QEMU's execution to its monitor's answer, both as the host logs them
    death         kill -9 of a QEMU until the host has recorded the end and begun to act
    resize        what the guest measures after a resize, as a ratio to before, beside the ratio asked for
    resident      memory of the programs at rest
"""

import argparse
import datetime
import glob
import json
import os
import re
import signal
import statistics
import subprocess
import tempfile
import time

RUN = "/run/berth-dev"


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


def steps_of(log, vm):
    """Seconds that each effect of the VM's first start took, and when the last one ended."""
    took = {}
    for line in open(log):
        match = re.search(rf"Message: (\S+): {vm}: (\w+) done in ([\d.]+) ms", line)
        if match and match[2] not in took:
            took[match[2]] = float(match[3])
    return took


def set_up(lab, folder):
    subprocess.run(["images/build-demo-guest", folder], check=True, stdout=subprocess.DEVNULL)
    lab.berth("image", "add", "demo", "--kernel", f"{folder}/vmlinuz", "--initrd", f"{folder}/initrd.img",
              "--cmdline", open(f"{folder}/cmdline").read().strip())
    lab.berth("size", "create", "m", "--cpu", "500m", "--memory", "192MiB", "--net-bw", "40Mbit")
    lab.berth("size", "create", "d", "--cpu", "1", "--memory", "256MiB", "--disk", "1GiB", "--disk-bw", "8", "--net-bw",
              "40Mbit")
    lab.berth("network", "create", "blue")


def bench_create(lab, count):
    shares = []
    for i in range(count):
        name = f"c-{i}"
        begun = time.monotonic()
        lab.berth("vm", "create", name, "--size", "m", "--image", "demo", "--network", "blue", "--wait=60")
        whole = (time.monotonic() - begun) * 1000
        vm = json.loads(lab.berth("vm", "show", name, "-o", "json"))
        log = f"{RUN}/{vm['placement']['host-name']}.log"
        time.sleep(0.1)
        took = steps_of(log, vm["id"])
        qemu = took.get("attach", 0)
        shares.append((whole, whole - qemu, took.get("launch", 0)))
        lab.berth("vm", "delete", name)
    shares = shares[3:]  # the first on each host fetches the image
    own = [s[1] for s in shares]
    say("create to running, p50", f"{statistics.median(s[0] for s in shares):.0f} ms", "the berth command's own start included")
    say("  Berth's share, p50", f"{statistics.median(own):.0f} ms", f"goal 50 ms; of it the keeper and exec {statistics.median(s[2] for s in shares):.0f} ms")
    say("  Berth's share, worst", f"{max(own):.0f} ms", f"of {len(own)}; goal 150 ms at p99")


def qemu_of(name):
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            argv = open(path, "rb").read().decode(errors="replace")
        except OSError:
            continue
        if argv.startswith("/usr/bin/qemu-system") and f"guest={name}," in argv.replace("\0", " "):
            return int(path.split("/")[2])
    return 0


def bench_death(lab, count):
    lab.berth("vm", "create", "dies", "--size", "m", "--image", "demo", "--network", "blue", "--wait=60")
    vm = json.loads(lab.berth("vm", "show", "dies", "-o", "json"))
    log = f"{RUN}/{vm['placement']['host-name']}.log"
    noticed, acted = [], []
    for _ in range(count):
        size = os.path.getsize(log)
        killed = datetime.datetime.now()
        os.kill(qemu_of("dies"), signal.SIGKILL)
        time.sleep(1.5)
        text = open(log).read()[size:]
        for what, found in (("QEMU has ended", noticed), ("release done", acted)):
            match = re.search(rf"Message: (\d+):(\d+):([\d.]+): {vm['id']}: {what}", text)
            if match:
                at = killed.replace(hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0)
                at += datetime.timedelta(seconds=float(match[3]))
                found.append((at - killed).total_seconds() * 1000)
        time.sleep(8 if len(noticed) > 1 else 1.5)
        if qemu_of("dies") == 0:
            time.sleep(20)
    lab.berth("vm", "delete", "dies")
    say("death of QEMU noticed, p50", f"{statistics.median(noticed):.0f} ms", f"worst {max(noticed):.0f} ms of {len(noticed)}")
    say("  recorded and taps, group released, p50", f"{statistics.median(acted):.0f} ms", f"worst {max(acted):.0f} ms; goal 50 ms at p99")


def ratio_line(what, before, after, wanted):
    say(f"resize {what}: guest's ratio", f"{after / before:.2f}", f"asked for {wanted:.2f} ({(after / before / wanted - 1) * 100:+.0f} %)")


def bench_resize(lab):
    for name in ("r-1", "r-2"):
        lab.berth("vm", "create", name, "--size", "d", "--image", "demo", "--network", "blue", "--wait=60")
    for name in ("r-1", "r-2"):
        lab.wait_guest(name)
    cpu = lambda: lab.in_guest("r-1", "berth-load", "cpu", "5")["loops_per_s"]
    lab.berth("vm", "resize", "r-1", "--cpu", "300m")
    before = cpu()
    lab.berth("vm", "resize", "r-1", "--cpu", "600m")
    ratio_line("cpu 300m to 600m", before, cpu(), 2.0)

    disk = lambda: lab.in_guest("r-1", "berth-load", "disk", "/dev/vda", "6")["mb_per_s"]
    before = disk()
    lab.berth("vm", "resize", "r-1", "--disk-bw", "4")
    ratio_line("disk-bw 8 to 4 MB/s", before, disk(), 0.5)

    address = json.loads(lab.berth("vm", "show", "r-2", "-o", "json"))["placement"]["nics"][0]["ipv4"]
    sink = subprocess.Popen([f"{lab.build}/src/cli/berth", "vm", "exec", "--timeout", "120s", "r-2", "--", "berth-load",
                             "net-sink", "5001"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(2)
    net = lambda: lab.in_guest("r-1", "berth-load", "net-send", address, "5001", "6")["mbit_per_s"]
    before = net()
    lab.berth("vm", "resize", "r-1", "--net-bw", "20Mbit")
    ratio_line("net-bw 40 to 20 Mbit/s", before, net(), 0.5)
    sink.kill()

    total = lambda: next(int(line.split()[1]) for line in lab.berth("vm", "exec", "r-1", "--", "cat", "/proc/meminfo").splitlines()
                         if line.startswith("MemTotal"))
    before = total()
    lab.berth("vm", "resize", "r-1", "--memory", "192MiB")
    time.sleep(2)
    say("resize memory 256 to 192 MiB: guest lost", f"{(before - total()) / 1024:.0f} MiB", "asked for 64 MiB")
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
    parser.add_argument("--vms", type=int, default=20)
    options = parser.parse_args()
    os.environ.pop("BERTH_CONTEXT", None)
    Lab(options.build).end()
    lab = Lab(options.build)
    try:
        say("berth dev with three hosts is up", f"{lab.up_s:.2f} s", "goal 2 s")
        with tempfile.TemporaryDirectory() as folder:
            set_up(lab, folder)
        bench_create(lab, options.vms)
        bench_death(lab, 8)
        bench_resize(lab)
        bench_rest(lab)
    finally:
        lab.end()


if __name__ == "__main__":
    main()
