#!/usr/bin/env python3
"""Cuts the power of a guest that writes to the store, again and again, and looks at what is left.

    check_power.py STORE-CRASH GUEST-FOLDER [--rounds N] [--seed S] [--lying-disk]

A guest boots under TCG from a disk with a volatile cache (volatile_disk.py), checks that the store holds every
transaction that was acknowledged before the last cut, each whole, and then writes on (tests/store/store-crash.c) until
the power goes: in the middle of a random write or flush of the disk, in one round of four from the moment on that the
file system is mounted. The last boot only checks. Some rounds begin with an empty disk, so that the making of the
store is cut too.

What the guest told after the cut counts as well: it can rest only on flushes that the disk answered before.

--lying-disk answers flushes without doing them. Then acknowledged transactions must be lost, and the exit status is 0
when that is found: it shows that the test can fail.

Needs QEMU, no root, no KVM. Prints its seed first.
"""

import argparse
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

from volatile_disk import Cache, VolatileDisk

HERE = pathlib.Path(__file__).resolve().parent
DISK_MIB = 64
PATIENCE_S = 120  # only a hang is that slow
MAX_REQUESTS = 150  # of the disk, from the start of a round's writes to the cut


class Wrong(Exception):
    """Something is not as it must be."""


def make_file_system(folder):
    """An empty ext4, all of its tables written, so that later writes are the store's.

    Without checksums: with them ext4 takes the block that ends a transaction of its journal, of which a sector is old,
    for a broken journal and does not mount, where a transaction without an end is simply not there.
    """
    image = folder / "empty.img"
    with image.open("wb") as file:
        file.truncate(DISK_MIB << 20)
    options = "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^metadata_csum", "-E", options, str(image)], check=True)
    return image.read_bytes()


def make_initramfs(program, guest, folder):
    """What the test adds to the demo guest's, in front of it: the kernel unpacks one after the other."""
    root = folder / "initramfs"
    libraries = root / "power" / "lib"
    libraries.mkdir(parents=True)
    shutil.copy(HERE / "guest-init", root / "power" / "init")
    shutil.copy(program, root / "power" / "store-crash")
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    for library in re.findall(r"(/\S+) \(0x", listed):
        name = pathlib.Path(library).name
        shutil.copy(library, libraries / ("ld.so" if name.startswith("ld-linux") else name))
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    packed = subprocess.run(
        ["cpio", "--create", "--format=newc", "--owner=0:0", "--quiet"],
        cwd=root, input=names.encode(), check=True, capture_output=True,
    )
    initramfs = folder / "initrd.img"
    initramfs.write_bytes(packed.stdout + (guest / "initrd.img").read_bytes())
    return initramfs


class Lost(Wrong):
    """The guest does not find on its disk what must be there."""


class Guest:
    """One boot: QEMU, its disk, and what it tells. A context manager that ends it."""

    def __init__(self, folder, kernel, cmdline, cache):
        self.told_path = folder / "told"
        self.console_path = folder / "console"
        socket_path = folder / "disk"
        for path in (self.told_path, self.console_path, socket_path):
            path.unlink(missing_ok=True)
        self.disk = VolatileDisk(socket_path, cache)
        self.qemu = subprocess.Popen(
            [
                "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "262152k",
                "-nodefaults", "-no-user-config", "-nographic", "-no-reboot",
                "-kernel", str(kernel), "-initrd", str(folder / "initrd.img"), "-append", cmdline,
                "-serial", f"file:{self.console_path}",
                "-blockdev", f"driver=nbd,node-name=disk,server.type=unix,server.path={socket_path}",
                "-device", "virtio-blk-pci,drive=disk,write-cache=on",
                "-chardev", f"file,id=told,path={self.told_path}",
                "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=told,name=store",
            ],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.qemu.kill()
        self.qemu.wait()
        self.disk.close()

    def told(self):
        """Whole lines only."""
        text = self.told_path.read_text() if self.told_path.exists() else ""
        return text[: text.rfind("\n") + 1].split("\n")[:-1]

    def console(self):
        """What the guest wrote there, without the firmware's part."""
        text = self.console_path.read_text(errors="replace") if self.console_path.exists() else ""
        return re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", text.split("Booting from ROM", 1)[-1]).strip(".\r\n")

    def wait(self, condition, what):
        """Until the condition holds or the power is off."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.disk.power_off.is_set() and not condition():
            if self.qemu.poll() is not None:
                kind = Lost if re.search("^power: ", self.console(), re.M) else Wrong
                raise kind(f"the guest ended before it had {what}:\n{self.console()[-2000:]}")
            if time.monotonic() > deadline:
                raise Wrong(f"the guest has not {what} in {PATIENCE_S} s:\n{self.console()[-2000:]}")
            time.sleep(0.01)


class Trial:
    def __init__(self, arguments, folder):
        self.folder = folder
        self.rng = random.Random(arguments.seed)
        self.lies = arguments.lying_disk
        self.guest = arguments.guest
        self.empty = make_file_system(folder)
        make_initramfs(arguments.store_crash, arguments.guest, folder)
        self.begin_anew()
        self.cuts_in_writes = self.lost_sectors = self.transactions = self.beginnings = 0

    def begin_anew(self):
        self.content = self.empty
        self.store_seed = self.rng.randrange(1 << 32)
        self.acknowledged = 0

    def boot(self):
        cmdline = (self.guest / "cmdline").read_text().strip()
        cmdline = re.sub(r"rdinit=\S+", "rdinit=/power/init", cmdline)
        cmdline += f" seed={self.store_seed} acknowledged={self.acknowledged}"
        return Guest(self.folder, self.guest / "vmlinuz", cmdline, Cache(self.content, self.lies))

    def round(self, number, early):
        if number > 0 and self.rng.randrange(4) == 0:
            self.begin_anew()
        begins = self.acknowledged == 0
        self.beginnings += begins
        requests = self.rng.randrange(1, MAX_REQUESTS)
        with self.boot() as guest:
            guest.wait(lambda: len(guest.told()) >= (1 if early else 3), "mounted" if early else "written")
            guest.disk.cut_after(requests)
            guest.wait(lambda: False, "gone on to write")
        told = guest.told()
        revisions = [int(line) for line in told if line.isdigit()]
        self.cuts_in_writes += bool(revisions)
        before = self.acknowledged
        self.acknowledged = max(revisions, default=before)
        self.transactions += len(revisions)
        self.content, lost = guest.disk.cache.cut(self.rng)
        self.lost_sectors += lost
        print(f"round {number}: {'new disk, ' if begins else ''}cut {'early, ' if early else ''}after {requests} "
              f"requests and {guest.disk.flushes} flushes; {len(revisions)} transactions acknowledged, "
              f"{lost} sectors lost", flush=True)  # fmt: skip

    def last_check(self):
        with self.boot() as guest:
            guest.wait(lambda: len(guest.told()) >= 2, "checked")

    def run(self, rounds):
        for number in range(rounds):
            # The last round is never early, so that no trial is without writes.
            self.round(number, early=number < rounds - 1 and self.rng.randrange(4) == 0)
        self.last_check()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("store_crash", type=pathlib.Path)
    parser.add_argument("guest", type=pathlib.Path, help="where images/build-demo-guest puts the guest")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--lying-disk", action="store_true")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.rounds} rounds", flush=True)
    subprocess.run([HERE.parents[1] / "images" / "build-demo-guest", arguments.guest], check=True)
    with tempfile.TemporaryDirectory(prefix="berth-power-") as folder:
        trial = Trial(arguments, pathlib.Path(folder))
        wrong = None
        try:
            trial.run(arguments.rounds)
        except Wrong as error:
            wrong = error
    print(f"{trial.cuts_in_writes} of {arguments.rounds} cuts after acknowledged writes, {trial.beginnings} with an "
          f"empty disk before; {trial.transactions} transactions acknowledged, {trial.lost_sectors} sectors lost")  # fmt: skip
    if arguments.lying_disk and isinstance(wrong, Lost):
        print(f"as it should be: {wrong}")
        return 0
    if arguments.lying_disk and wrong is None:
        wrong = "a disk that lies was not found out"
    if wrong:
        print(f"check_power: {wrong}", file=sys.stderr)
        return 1
    print("no acknowledged transaction lost, none half there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
