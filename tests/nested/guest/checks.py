"""Checks Berth inside a guest that has what its users have: cgroup v2, KVM, systemd. Run by berth-nested.service, as root.

Two boots: in the first all is set up and tried, the second shows what a reboot leaves. The results go to a port of
virtio-serial, the outside judges them.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

from inside import (
    GROUPS, Report, Skip, Wrong, berth, equal, fields, journal, kernel_threads, launch, look, numbers, processes,
    property_of, read, run, status_of, thread_name, until,
)  # fmt: skip

SECOND_BOOT = pathlib.Path("/var/lib/nested-second-boot")
IMAGE = "/srv/demo-guest"
VM = "web"
MANAGER, AGENT = "berth-manager.service", "berth-agent.service"


def address():
    text = run("ip", "-4", "-br", "address", "show", "scope", "global")
    return re.search(r"(\d+\.\d+\.\d+\.\d+)/", text)[1]


def host():
    return look("host", "show", "nested")


def vm():
    return look("vm", "show", VM)


def in_guest(*argv):
    return berth("vm", "exec", VM, "--", *argv)


def group():
    """Each command takes seconds where all is emulated, so this asks none."""
    return GROUPS / "berth" / "nested" / launch()["vm"]


def wait_for_host():
    until("host up", lambda: host()["status"]["state"] == "up")


def wait_for_guest():
    until("the guest's agent answers", in_guest, "hostname")


# The first boot: from installed files to a guest that runs.


def cgroup_is_v2():
    equal("type of /sys/fs/cgroup", run("stat", "-f", "-c", "%T", "/sys/fs/cgroup").strip(), "cgroup2fs")


def agent_waits_to_be_joined():
    run("systemctl", "enable", "--now", AGENT)
    equal("condition of the unit", property_of(AGENT, "ConditionResult"), "no")
    equal("state of the unit", property_of(AGENT, "ActiveState"), "inactive")


def manager_starts():
    # As the unit's own comment says.
    folder = pathlib.Path(f"/etc/systemd/system/{MANAGER}.d")
    folder.mkdir(parents=True)
    command = re.search(r"^ExecStart=(.*)$", run("systemctl", "cat", MANAGER), re.M)[1]
    (folder / "override.conf").write_text(f"[Service]\nExecStart=\nExecStart={command} --name {address()}\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", "--now", MANAGER)
    until("the manager answers", berth, "cluster", "show")
    equal("state of the unit", property_of(MANAGER, "ActiveState"), "active")


def host_joins():
    token = berth("host", "token", "create").split()[-1]
    # The kernel does not know what a bandwidth is.
    run("berth-agent", "join", "--manager", f"https://{address()}:7443", "--token", token, "--capacity", "net-bw=1Gbit")
    run("systemctl", "start", AGENT)
    wait_for_host()


def host_has_v2():
    equal("cgroup version", host()["status"]["facts"]["cgroup"], 2)


def host_has_kvm():
    accelerator = host()["status"]["facts"]["accelerator"]
    if not os.path.exists("/dev/kvm"):
        said = run("dmesg").strip().splitlines()
        why = next((line for line in said if re.search("kvm|svm", line, re.I)), "the kernel says nothing of it")
        if accelerator["kind"] == "kvm":
            raise Wrong("the agent reports KVM, and there is no /dev/kvm")
        raise Skip(f"no /dev/kvm in this guest: {why}")
    equal("accelerator", accelerator, {"kind": "kvm"})


def guest_runs():
    cmdline = read(f"{IMAGE}/cmdline")
    berth("image", "add", "demo", "--kernel", f"{IMAGE}/vmlinuz", "--initrd", f"{IMAGE}/initrd.img", "--cmdline", cmdline)
    berth("size", "create", "small", "--cpu", "1", "--vcpus", "1", "--memory", "256MiB", "--net-bw", "50Mbit")
    berth("network", "create", "blue")
    berth("vm", "create", VM, "--size", "small", "--image", "demo", "--network", "blue")
    wait_for_guest()
    equal("host name in the guest", in_guest("hostname").strip(), VM)


# While it runs.


def qemu_uses_kvm():
    if host()["status"]["facts"]["accelerator"]["kind"] != "kvm":
        raise Skip("the agent reports no KVM here")
    pid = launch()["pid"]
    opened = {os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")}
    missing = {"/dev/kvm", "anon_inode:kvm-vm", "anon_inode:kvm-vcpu:0"} - opened
    if missing:
        raise Wrong(f"QEMU has not opened {sorted(missing)}")


def qemu_is_confined():
    status = status_of(launch()["pid"])
    uids = {int(uid) for uid in status["Uid"].split()}
    if min(uids) < 70000:
        raise Wrong(f"QEMU runs as {uids}")
    equal("capabilities", int(status["CapEff"], 16) | int(status["CapPrm"], 16), 0)
    equal("no_new_privs and seccomp filter", (status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))


def threads_are_in_their_groups():
    pid = launch()["pid"]
    for name in ("vcpu", "emulator"):
        equal(f"type of {name}", read(group() / name / "cgroup.type"), "threaded")
    keeper, vcpus = launch()["keeper-pid"], numbers(group() / "vcpu/cgroup.threads")
    others = set(numbers(group() / "emulator/cgroup.threads"))
    if not vcpus or not all(thread_name(tid).startswith("CPU ") for tid in vcpus):
        raise Wrong(f"threads in vcpu: {[thread_name(tid) for tid in vcpus]}")
    threads = {int(name) for name in os.listdir(f"/proc/{pid}/task")}
    equal("threads of QEMU that are no vCPUs, and the keeper", others - kernel_threads(others),
          (threads - set(vcpus)) | {keeper})  # fmt: skip
    procs = set(numbers(group() / "cgroup.procs"))
    equal("processes of the VM", procs - kernel_threads(procs), {pid, keeper})


def quota_is(text):
    def same():
        equal("cpu.max", read(group() / "vcpu/cpu.max"), text)
        return True

    until("the quota is written", same, seconds=30)


def quota_holds():
    """The kernel lets the vCPU threads run no longer than the quota, however the guest tries."""
    quota, period = numbers(group() / "vcpu/cpu.max")
    before, begun = fields(group() / "vcpu/cpu.stat"), time.monotonic()
    in_guest("berth-load", "cpu", "4")
    after, passed = fields(group() / "vcpu/cpu.stat"), time.monotonic() - begun
    used = (after["usage_usec"] - before["usage_usec"]) / 1e6
    if used > passed * quota / period * 1.1 + 0.1:
        raise Wrong(f"{used:.2f} s of CPU in {passed:.2f} s, with a quota of {quota} in {period}")
    if after["nr_throttled"] == before["nr_throttled"]:
        raise Wrong("a guest that computes was never throttled")


def weights_are_written():
    equal("weight of the VM", read(group() / "cpu.weight"), "100")
    equal("weight of all VMs", read(GROUPS / "berth/cpu.weight"), "1000")
    equal("quota of the emulator", read(group() / "emulator/cpu.max"), "20000 20000")


def memory_is_accounted():
    resident = int(status_of(launch()["pid"])["RssAnon"].split()[0]) * 1024
    charged = int(read(group() / "memory.current"))
    if not 0.9 * resident < charged < 2 * resident + (64 << 20):
        raise Wrong(f"{charged} bytes are charged to the VM, and QEMU has {resident} resident")
    equal("limit of memory", read(group() / "memory.max"), "max")
    equal("OOM kills", fields(group() / "memory.events")["oom_kill"], 0)


def agent_measures():
    def measured():
        usage = next(entry for entry in look("top", "--once")["vms"] if entry["name"] == VM)["used"]
        return usage["memory"] >= 32 and usage["cpu"] > 0

    until("the VM's memory is measured", measured, seconds=60)


def guest_has_its_address():
    wanted = vm()["placement"]["nics"][0]["ipv4"]
    until(f"{wanted} by DHCP", lambda: wanted in in_guest("ip", "-4", "address", "show", "eth0"), seconds=60)


def console_answers():
    def ask():
        text = run("timeout", "15", "berth", "vm", "console", VM, check=False, text="echo console-of-$(hostname)\n")
        return f"console-of-{VM}" in text

    until("the console answers", ask)


def two_vcpus_say(seconds):
    """What a guest with two vCPUs says on its console, without Berth, until its init runs or so many seconds have passed."""
    argv = ["timeout", "--kill-after=10", str(seconds), "qemu-system-x86_64", "-accel", "kvm", "-machine", "q35",
            "-cpu", "host", "-smp", "2", "-m", "256", "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", f"{IMAGE}/vmlinuz",
            "-initrd", f"{IMAGE}/initrd.img", "-append", read(f"{IMAGE}/cmdline").replace("quiet loglevel=3", "")]  # fmt: skip
    said = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace") as qemu:
        for line in qemu.stdout:
            said.append(line.rstrip())
            if init_runs(line):
                qemu.terminate()
                break
    return said


def init_runs(line):
    return "Run /init" in line or "login" in line


def vcpus_change():
    """Under KVM under TCG two vCPUs may wait for each other for ever: where they do so without Berth, the check says it."""
    if host()["status"]["facts"]["accelerator"]["kind"] == "kvm":
        said = two_vcpus_say(90)
        if not any(init_runs(line) for line in said):
            last = next((line for line in reversed(said) if line), "nothing")
            raise Skip(f"a bare QEMU with two vCPUs under this KVM does not come to its init in 90 s; it said last: {last}")
    berth("size", "create", "pair", "--cpu", "1", "--vcpus", "2", "--memory", "256MiB")
    berth("vm", "create", "pair", "--size", "pair", "--image", "demo")
    try:
        until("the guest's agent answers", berth, "vm", "exec", "pair", "--", "nproc", seconds=240)
        for cpus in ("1", "2"):
            berth("vm", "resize", "pair", "--vcpus", cpus)
            until(f"{cpus} CPUs in the guest", lambda: berth("vm", "exec", "pair", "--", "nproc").strip() == cpus)
    finally:
        berth("vm", "delete", "pair")


def cpu_changes(cpu, quota):
    berth("vm", "resize", VM, "--cpu", cpu)
    quota_is(quota)
    equal("CPUs in the guest", in_guest("nproc").strip(), "1")


def guest_memory_mib():
    """What a balloon takes stays in MemTotal, since it may be taken back under need (deflate-on-oom)."""
    return int(re.search(r"MemAvailable:\s+(\d+)", in_guest("cat", "/proc/meminfo"))[1]) // 1024


def memory_shrinks_and_grows():
    # All but 24 MiB, so that the balloon finds little that has never been charged.
    in_guest("berth-load", "hold", str(guest_memory_mib() - 24), "1")
    before = guest_memory_mib()
    charged = int(read(group() / "memory.current"))
    berth("vm", "resize", VM, "--memory", "200MiB")
    until("56 MiB less in the guest", lambda: before - 64 <= guest_memory_mib() <= before - 48, seconds=60)
    equal("memory in the ledger", vm()["status"]["applied"]["memory"], 200)
    shrunk = int(read(group() / "memory.current"))
    if shrunk > charged - (20 << 20):
        raise Wrong(f"{charged} bytes were charged before the balloon took 56 MiB, and {shrunk} after")
    berth("vm", "resize", VM, "--memory", "256MiB")
    until("all of it in the guest", lambda: guest_memory_mib() >= before - 8, seconds=60)


# What the units promise.


def pids():
    record = launch()
    return record["pid"], record["keeper-pid"]


def same_guest(before):
    wait_for_host()

    def settled():
        status = vm()["status"]
        return status["power"] == "running" and status["settled"] and status

    status = until("the VM runs and is settled", settled)
    equal("QEMU and keeper", pids(), before)
    equal("restarts", status.get("restarts", 0), 0)
    wait_for_guest()
    threads_are_in_their_groups()


def controllers_stay():
    """systemd owns the root group, and does not take away what Berth enabled in it."""
    run("systemctl", "daemon-reload")
    run("systemd-run", "--wait", "-p", "CPUWeight=50", "-p", "MemoryMax=200M", "/bin/true")
    enabled = set(read(GROUPS / "cgroup.subtree_control").split())
    if not {"cpu", "memory"} <= enabled:
        raise Wrong(f"controllers below the root are {sorted(enabled)}")
    quota_is("20000 20000")


def services_restart(unit):
    before, main = pids(), property_of(unit, "MainPID")
    run("systemctl", "restart", unit)
    if property_of(unit, "MainPID") == main:
        raise Wrong(f"{unit} was not restarted")
    same_guest(before)


def agent_returns_from_kill():
    before, main = pids(), int(property_of(AGENT, "MainPID"))
    os.kill(main, signal.SIGKILL)
    until("systemd starts it again", lambda: int(property_of(AGENT, "MainPID")) not in (0, main))
    same_guest(before)


def nothing_of_the_vm_in_the_service():
    path = GROUPS / property_of(AGENT, "ControlGroup").lstrip("/")
    strays = set(numbers(path / "cgroup.procs")) & {*processes("qemu-system-x86_64"), *processes("berth-keep")}
    equal("QEMUs and keepers in the agent's service", strays, set())


def qemu_death_is_acted_upon():
    before = pids()
    os.kill(before[0], signal.SIGKILL)
    until("another QEMU", lambda: vm()["status"].get("restarts", 0) == 1 and pids()[0] != before[0])
    wait_for_guest()
    threads_are_in_their_groups()


# The second boot.


def guest_returns():
    wait_for_host()
    until("the VM runs", lambda: vm()["status"]["power"] == "running")
    wait_for_guest()
    threads_are_in_their_groups()
    quota_is("20000 20000")


def guest_stops():
    berth("vm", "stop", VM)
    until("the VM is off", lambda: vm()["status"]["power"] == "off")
    equal("QEMUs", processes("qemu-system-x86_64"), [])


def is_tombstone(path):
    """What a host keeps of a VM that is gone, so that nothing stale starts it again; the number of them is bounded."""
    return path.suffix == ".json" and "assignment" not in (kept := json.loads(path.read_text())) and kept["tombstone"] > 0


def left_over():
    names = [line.split()[0].split("@")[0] for line in run("ip", "-br", "link").splitlines()]
    found = [f"interface {name}" for name in names if re.match("b[tfbx]", name)]
    found += [f"group {path}" for path in (GROUPS / "berth/nested").glob("*/")]
    found += [f"process {pid} of {program}" for program in ("qemu-system-x86_64", "berth-keep", "dnsmasq")
              for pid in processes(program)]  # fmt: skip
    for pattern in ("/run/berth/vms/*", "/run/berth/dhcp/*", "/run/netns/*", "/var/lib/berth/vms/*",
                    "/var/lib/berth/disks/*", "/var/lib/berth/networks/*"):  # fmt: skip
        found += [str(path) for path in pathlib.Path("/").glob(pattern.lstrip("/")) if not is_tombstone(path)]
    # What is left of the guard's table names no tap.
    found += re.findall(r"bt[0-9a-z]{13}", run("nft", "list", "ruleset"))
    return found


def nothing_is_left():
    berth("vm", "delete", VM)
    berth("network", "delete", "blue")
    end = time.monotonic() + 60
    while (found := left_over()) and time.monotonic() < end:
        time.sleep(0.5)
    equal("left over", found, [])


def services_stop():
    run("systemctl", "stop", AGENT, MANAGER)
    for unit in (AGENT, MANAGER):
        equal(f"{unit} ends", (property_of(unit, "Result"), property_of(unit, "ExecMainStatus")), ("success", "0"))
    equal("units that failed", run("systemctl", "--failed", "--plain", "--no-legend").strip(), "")


NEEDED = [
    ("the guest has cgroup v2", cgroup_is_v2),
    ("the agent's unit waits until the host has joined", agent_waits_to_be_joined),
    ("berth-manager.service starts", manager_starts),
    ("a host joins with a token, berth-agent.service starts", host_joins),
    ("the agent reports cgroup v2", host_has_v2),
    ("a VM runs, its agent answers", guest_runs),
]
RUNNING = [
    ("the agent has found by running a guest that KVM works", host_has_kvm),
    ("QEMU runs the guest under KVM", qemu_uses_kvm),
    ("QEMU has a uid of its own, no capabilities, a filter", qemu_is_confined),
    ("vCPU threads are in a threaded group, the others in another", threads_are_in_their_groups),
    ("cpu.max is what the VM was given", quota_is, "20000 20000"),
    ("less cpu", cpu_changes, "400m", "20000 50000"),
    ("the quota holds", quota_holds),
    ("weights and the emulator's quota are written", weights_are_written),
    ("memory is accounted, not limited", memory_is_accounted),
    ("the agent measures the VM", agent_measures),
    ("the guest has its address by DHCP", guest_has_its_address),
    ("more cpu", cpu_changes, "1", "20000 20000"),
    ("more vCPUs while it runs", vcpus_change),
    ("less memory and back: balloon, ledger, account", memory_shrinks_and_grows),
    ("systemd leaves the controllers alone", controllers_stay),
    ("systemctl restart berth-agent: QEMU and keeper stay, are adopted", services_restart, AGENT),
    ("systemctl restart berth-manager: the same", services_restart, MANAGER),
    ("kill -9 of the agent: systemd starts it, it adopts", agent_returns_from_kill),
    ("no QEMU and no keeper is in the agent's service", nothing_of_the_vm_in_the_service),
    ("the console answers", console_answers),
    ("kill -9 of QEMU: another one, in its groups", qemu_death_is_acted_upon),
]
AFTER_REBOOT = [
    ("after a reboot the units start, and so does the VM", guest_returns),
    ("it has KVM as before", host_has_kvm),
    ("the VM stops", guest_stops),
    ("the VM is removed, nothing is left", nothing_is_left),
    ("the services stop cleanly, no unit has failed", services_stop),
]


def first_boot(report):
    kernel, qemu = run("uname", "-r").strip(), run("qemu-system-x86_64", "--version").split("\n")[0]
    report.tell(f"Linux {kernel}, {qemu}")
    for name, *what in NEEDED:
        if not report.check(name, *what):
            return
    for name, *what in RUNNING:
        report.check(name, *what)


def guest_state():
    """What the VM's console said last, and how its vCPUs fare."""
    try:
        ring = pathlib.Path(f"/run/berth/vms/{launch()['vm']}/console.ring").read_bytes()
        said = re.sub(rb"[^\n -~]+", b" ", ring).decode().strip().splitlines()[-20:]
        return "\n".join(["the VM's console:", *said, "its vCPUs:", read(group() / "vcpu/cpu.stat")])
    except (Wrong, OSError) as problem:
        return f"no VM runs: {problem}"


def main():
    report = Report()
    second = SECOND_BOOT.exists()
    if second:
        for name, *what in AFTER_REBOOT:
            report.check(name, *what)
    else:
        first_boot(report)
    if report.failed:
        report.tell(journal(MANAGER, AGENT))
        report.tell(guest_state())
    SECOND_BOOT.touch()
    report.line("end of the second boot" if second else "end of the first boot")
    os.sync()
    if "--stay" not in sys.argv:
        run("systemctl", "poweroff" if second else "reboot")


if __name__ == "__main__":
    sys.exit(main())
