"""The root image of the nested test: Debian from its packages, Berth as `meson install` puts it, and the test's own files.

Debian's part is made by mmdebstrap, takes minutes, and is kept as FOLDER/debian-KEY (KEY: packages, options, release).
A run lays Berth over hard links to it and packs both with `mke2fs -d`: nothing is mounted and no file of the base is
written to.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SIZE_MIB = 3072  # sparse
PROGRAMS = ["berth", "berth-manager", "berth-agent", "berth-keep"]
# What boots, and what the test's own script needs. The cloud kernel has no KVM.
SYSTEM = ["linux-image-amd64", "systemd-sysv", "udev", "dbus", "kmod", "python3", "procps"]
# Not on the way to any check, and most of the kernel's package.
LEFT_OUT = [
    *(f"/lib/modules/*/kernel/drivers/{name}/*" for name in (
        "gpu media net/wireless net/ethernet infiniband iio ata scsi usb staging hwmon mfd input isdn mtd").split()),
    "/lib/modules/*/kernel/sound/*", "/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*",
]  # fmt: skip
# mmdebstrap filters each package through a Python program, which a shim in front of Python makes slow.
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
INITRAMFS = """
set -e
mkdir -p "$1/etc/initramfs-tools/conf.d"
echo MODULES=list > "$1/etc/initramfs-tools/conf.d/berth-nested"
printf '%s\\n' virtio_pci virtio_blk ext4 > "$1/etc/initramfs-tools/modules"
"""


class Unavailable(Exception):
    """This machine cannot make the image, and why."""


def release():
    """The same as this machine's, since Berth is linked against its libraries."""
    text = pathlib.Path("/etc/os-release").read_text()
    values = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.M))
    if values.get("ID") != "debian":
        raise Unavailable(f"made from Debian's packages, and this is {values.get('PRETTY_NAME', 'another system')}")
    return values["VERSION_CODENAME"]


def run_packages():
    """Those that tools/install-deps installs for running."""
    text = (ROOT / "tools/install-deps").read_text()
    return re.search(r"^run=\(([^)]*)\)", text, re.M)[1].split()


def library_packages(build):
    """The packages of the libraries that Berth's programs are linked against."""
    paths = set()
    for program in PROGRAMS:
        found = next(build.glob(f"src/*/{program}"), None)
        if found is None:
            raise Unavailable(f"{program} is not built in {build}")
        listed = subprocess.run(["ldd", str(found)], capture_output=True, text=True, check=False).stdout
        paths.update(re.findall(r"=> (/\S+) \(0x", listed))
    # dpkg knows the path that the package ships, on either side of the merge of /lib with /usr/lib.
    plain = {re.sub(r"^/usr/lib/", "/lib/", path) for path in paths}
    asked = [prefix + path for path in plain for prefix in ("", "/usr")]
    listed = subprocess.run(["dpkg-query", "-S", *asked], capture_output=True, text=True, check=False).stdout
    owners = {path: package for package, path in re.findall(r"^([^:\s]+)\S*: (/\S+)$", listed, re.M)}
    missing = sorted(path for path in plain if not {path, "/usr" + path} & owners.keys())
    if missing:
        raise Unavailable(f"no package of this machine owns {missing[0]}")
    return set(owners.values())


def make_debian(packages, code_name, target, log):
    if shutil.which("mmdebstrap") is None:
        raise Unavailable("mmdebstrap is missing: run tools/install-deps --test")
    command = ["mmdebstrap", "--variant=minbase", "--format=directory", "--aptopt=Acquire::Languages \"none\"",
               "--dpkgopt=force-unsafe-io", *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
               f"--essential-hook={INITRAMFS}", f"--include={','.join(packages)}", code_name]  # fmt: skip
    partial = target.with_name("partial")
    shutil.rmtree(partial, ignore_errors=True)
    with log.open("w") as file:
        # Killed or failed, it unmounts what it has mounted below `partial`; a run of ours never removes a mount.
        done = subprocess.run([*command, str(partial)], stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False,
                              env={**os.environ, "PATH": SYSTEM_PATH})
    if done.returncode != 0:
        raise Unavailable(f"mmdebstrap fails: {log.read_text().strip().splitlines()[-1]} (all of it: {log})")
    partial.rename(target)


def debian(build, folder, say):
    """The directory with Debian in it."""
    code_name = release()
    packages = sorted({*SYSTEM, *run_packages(), *library_packages(build)})
    key = hashlib.sha256(repr((packages, code_name, LEFT_OUT, INITRAMFS)).encode()).hexdigest()[:16]
    target = folder / f"debian-{key}"
    if not target.exists():
        for old in folder.glob("debian-*"):
            shutil.rmtree(old)
        say(f"making a Debian {code_name} with {len(packages)} packages asked for, once; takes minutes")
        make_debian(packages, code_name, target, folder / "mmdebstrap.log")
    return target


def install(build, stage, guest):
    """Berth as a user installs it; the demo guest's files; the test's script and units."""
    environment = {**os.environ, "DESTDIR": str(stage)}
    subprocess.run(["meson", "install", "-C", str(build), "--no-rebuild", "--quiet"], env=environment, check=True,
                   stdout=subprocess.DEVNULL)
    shutil.copytree(guest, stage / "srv/demo-guest")
    shutil.copytree(HERE / "guest", stage / "srv/nested")
    units = stage / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    shutil.copy(HERE / "guest/berth-nested.service", units)
    (units / "multi-user.target.wants/berth-nested.service").symlink_to("../berth-nested.service")
    shutil.copy(HERE / "guest/wired.network", stage / "etc/systemd/network")


def make(build, folder, guest, say):
    """The image, the kernel and the initrd."""
    folder.mkdir(parents=True, exist_ok=True)
    base = debian(build, folder, say)
    stage, image = folder / "stage", folder / "root.img"
    shutil.rmtree(stage, ignore_errors=True)
    image.unlink(missing_ok=True)
    try:
        subprocess.run(["cp", "-al", str(base), str(stage)], check=True)
        for name in ("hostname", "fstab", "machine-id"):
            (stage / "etc" / name).unlink(missing_ok=True)
        (stage / "etc/hostname").write_text("nested\n")
        (stage / "etc/machine-id").touch()  # systemd makes one; no questions of a first boot
        install(build, stage, guest)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=1,root_owner=0:0", "-d", str(stage),
                        str(image), f"{SIZE_MIB}M"], check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        for name in ("vmlinuz", "initrd.img"):
            shutil.copy(next(stage.glob(f"boot/{name}-*")), folder / name)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return image, folder / "vmlinuz", folder / "initrd.img"
