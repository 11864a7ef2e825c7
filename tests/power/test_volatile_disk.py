"""What the disk of the power cuts promises: flushed is kept, unflushed may be lost, by the sector."""

import pathlib
import random
import subprocess
import tempfile
import unittest

from volatile_disk import SECTOR, Cache, VolatileDisk

BLANK = bytes(8 * SECTOR)


def sector(letter):
    return letter.encode() * SECTOR


def cuts(cache):
    """What may be left, as the first letters of the first two sectors."""
    left = set()
    for seed in range(200):
        content, _ = cache.cut(random.Random(seed))
        left.add((content[0:1] + content[SECTOR : SECTOR + 1]).replace(b"\0", b"-").decode())
    return left


class CacheTest(unittest.TestCase):
    def test_reads_see_what_is_not_flushed(self):
        cache = Cache(BLANK)
        cache.write(SECTOR, sector("a"))
        self.assertEqual(cache.read(0, 2 * SECTOR), bytes(SECTOR) + sector("a"))

    def test_unflushed_writes_are_torn_lost_or_kept(self):
        cache = Cache(BLANK)
        cache.write(0, sector("a") + sector("b"))
        self.assertEqual(cuts(cache), {"--", "a-", "-b", "ab"})

    def test_any_version_since_the_flush_may_be_left(self):
        cache = Cache(BLANK)
        for letter in "abc":
            cache.write(0, sector(letter))
            if letter == "a":
                cache.flush()
        self.assertEqual(cuts(cache), {"a-", "b-", "c-"})

    def test_flushed_writes_stay(self):
        cache = Cache(BLANK)
        cache.write(0, sector("a") + sector("b"))
        cache.flush()
        self.assertEqual(cuts(cache), {"ab"})

    def test_fua_makes_only_its_own_write_stay(self):
        cache = Cache(BLANK)
        cache.write(SECTOR, sector("b"))
        cache.write(0, sector("a"), fua=True)
        self.assertEqual(cuts(cache), {"a-", "ab"})

    def test_a_disk_that_lies_loses_what_was_flushed(self):
        cache = Cache(BLANK, ignores_flush=True)
        cache.write(0, sector("a"), fua=True)
        cache.flush()
        self.assertEqual(cuts(cache), {"--", "a-"})


class ServerTest(unittest.TestCase):
    """Through QEMU's own client."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="berth-power-")
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "disk"
        self.cache = Cache(bytes(1 << 20))
        self.disk = VolatileDisk(self.path, self.cache)
        self.addCleanup(self.disk.close)

    def start_client(self, *commands):
        words = [word for command in commands for word in ("-c", command)]
        client = subprocess.Popen(
            ["qemu-io", "-f", "raw", "-t", "writeback", *words, f"nbd+unix:///?socket={self.path}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        return client

    def test_serves_reads_writes_and_flushes(self):
        client = self.start_client("write -P 97 4096 8192", "read -P 97 4096 8192", "flush")
        output, _ = client.communicate(timeout=60)
        self.assertEqual(client.returncode, 0, output)
        self.assertNotIn(b"failed", output)
        self.assertEqual(self.cache.stable[4096:12288], b"a" * 8192)

    def test_a_cut_leaves_the_flush_unanswered_and_undone(self):
        self.disk.cut_after(2)
        client = self.start_client("write -P 97 0 4096", "flush")
        self.assertTrue(self.disk.power_off.wait(60))
        with self.assertRaises(subprocess.TimeoutExpired):
            client.wait(0.2)
        self.assertEqual(self.cache.read(0, 1), b"a")
        self.assertEqual(self.cache.stable[0:1], b"\0")


if __name__ == "__main__":
    unittest.main()
