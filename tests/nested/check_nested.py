#!/usr/bin/env python3
"""Berth where its users have it: Debian with cgroup v2, KVM and systemd, installed by `meson install`, run by its units.

    check_nested.py BUILD-DIR [--demo-guest FOLDER] [--within MINUTES] [--keep]

A Debian guest boots under TCG, whose `-cpu max` has AMD's virtualization, so that /dev/kvm works in it. Inside,
guest/checks.py plays a user who sets up a cluster of one host; what it finds comes back here as TAP. Needs root
(mmdebstrap) and the machine's apt sources; the image's Debian part is kept in BUILD-DIR/nested. No KVM, no network
of the host. The guest is through in 15 minutes of an idle machine, and in --within MINUTES of a loaded one, or has
failed. --keep leaves the guest's disk and console for a look.
"""

import argparse
import contextlib
import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import image

MEMORY_MIB = 1536
CPUS = 2
LAST_LINE = "end of the second boot"


def say(text):
    print(f"# {text}", flush=True)


class Tap:
    """Gives numbers to the lines that come from the guest, and counts."""

    def __init__(self):
        self.count = self.failed = 0
        self.ended = False

    def take(self, line):
        if line.startswith(("ok ", "not ok ")):
            self.count += 1
            self.failed += line.startswith("not ok ")
            word, rest = line.split(" - ", 1)
            print(f"{word} {self.count} - {rest}", flush=True)
        else:
            self.ended = self.ended or line == LAST_LINE
            say(line.removeprefix("# "))

    def wrong(self, text, details=""):
        self.take(f"not ok - {text}")
        for line in details.splitlines():
            say(line)


class Guest:
    """One QEMU; a context manager that ends it."""

    def __init__(self, folder, disk, kernel, initrd):
        self.results, self.console = folder / "results", folder / "console"
        self.results.touch()
        # Of its disk only what it writes is new, in a file that nobody else sees.
        self.process = subprocess.Popen(
            [
                "qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
                "-smp", str(CPUS), "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none",
                "-kernel", str(kernel), "-initrd", str(initrd),
                "-append", "root=/dev/vda rw console=ttyS0 mitigations=off no_timer_check quiet loglevel=4 systemd.show_status=0",
                "-drive", f"file={disk},if=virtio,format=raw,snapshot=on,cache=unsafe",
                "-nic", "user,restrict=on,model=virtio-net-pci",
                "-serial", f"file:{self.console}",
                "-chardev", f"file,id=results,path={self.results}",
                "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=results,name=berth.results",
            ],
            stdin=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(folder)},
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def lines(self, deadline):
        """Whole lines as they come, until QEMU has ended or the time is over."""
        rest = ""
        with self.results.open() as file:
            while True:
                ended = self.process.poll() is not None
                rest += file.read()
                *whole, rest = rest.split("\n")
                yield from whole
                if ended or time.monotonic() > deadline:
                    return
                time.sleep(0.2)

    def last_words(self):
        text = self.console.read_text(errors="replace") if self.console.exists() else ""
        return "\n".join(text.splitlines()[-40:])


def judge(guest, tap, deadline):
    for line in guest.lines(deadline):
        tap.take(line)
    if guest.process.poll() is None:
        tap.wrong("the guest is not through in time", guest.last_words())
    elif not tap.ended:
        tap.wrong("the guest ended before its checks did", guest.last_words())
    elif guest.process.returncode != 0:
        tap.wrong(f"the guest's QEMU ended with status {guest.process.returncode}")
    else:
        tap.take("ok - the guest turns itself off")


@contextlib.contextmanager
def place_for(folder, keep):
    with tempfile.TemporaryDirectory(prefix="run-", dir=folder, ignore_cleanup_errors=True) as place:
        yield pathlib.Path(place)
        if keep:
            kept = folder / "kept"
            subprocess.run(["rm", "-rf", str(kept)], check=True)
            subprocess.run(["cp", "-a", place, str(kept)], check=True)
            say(f"kept: {kept}")


def make(build, folder, demo_guest):
    """The image, or why there is none."""
    if os.geteuid() != 0:
        raise image.Unavailable("mmdebstrap makes the image as root")
    subprocess.run([str(image.ROOT / "images/build-demo-guest"), str(demo_guest)], check=True, stdout=subprocess.DEVNULL)
    return image.make(build, folder, demo_guest, say)


def main():
    parser = argparse.ArgumentParser(description="Checks Berth under systemd, cgroup v2 and KVM, in a guest.")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--demo-guest", type=pathlib.Path, help="where images/build-demo-guest puts it")
    parser.add_argument("--within", type=float, default=15, metavar="MINUTES")
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    folder = build / "nested"
    folder.mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends through the context managers
    tap = Tap()
    with (folder / "lock").open("w") as lock, place_for(folder, arguments.keep) as place:
        fcntl.flock(lock, fcntl.LOCK_EX)
        begun = time.monotonic()
        try:
            files = make(build, folder, (arguments.demo_guest or build / "demo-guest").resolve())
        except image.Unavailable as why:
            print(f"1..0 # SKIP {why}", flush=True)
            return 0
        say(f"the image is made in {time.monotonic() - begun:.0f} s")
        begun = time.monotonic()
        with Guest(place, *files) as guest:
            judge(guest, tap, begun + arguments.within * 60)
        say(f"the guest ran for {time.monotonic() - begun:.0f} s")
    print(f"1..{tap.count}", flush=True)
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
