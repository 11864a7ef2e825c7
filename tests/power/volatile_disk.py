"""A disk whose power can be cut: an NBD server that keeps a volatile write cache.

A write is answered when it is in the cache. A flush, or the FUA bit of a write, moves what was written before into
the stable part. At the cut the disk answers nothing more, and of each sector that was written since the last flush
one version is left, any of those that the cache has held or the stable one: a cache may write back whatever it likes
whenever it likes, and a write of several sectors may be torn between any two.

One client, simple replies (the protocol: doc/proto.md of github.com/NetworkBlockDevice/nbd).
"""

import socket
import struct
import threading

SECTOR = 512
MAGIC_REPLY, MAGIC_OPTION_REPLY = 0x67446698, 0x3E889045565A9
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
HAS_FLAGS, SEND_FLUSH, SEND_FUA = 1, 4, 8
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
COMMAND_FUA = 1
EINVAL = 22
OPTION_EXPORT_NAME, OPTION_ABORT, OPTION_GO = 1, 2, 7
OPTION_ACK, OPTION_INFO, OPTION_UNSUPPORTED = 1, 3, 0x80000001


class Cache:
    """The disk's content, without the protocol."""

    def __init__(self, content, ignores_flush=False):
        self.current = bytearray(content)  # what reads see
        self.stable = bytearray(content)
        self.written = {}  # sector -> its versions since the last flush
        self.ignores_flush = ignores_flush

    def read(self, offset, length):
        return bytes(self.current[offset : offset + length])

    def write(self, offset, data, fua=False):
        self.current[offset : offset + len(data)] = data
        for at in range(0, len(data), SECTOR):
            self.written.setdefault((offset + at) // SECTOR, []).append(data[at : at + SECTOR])
        if fua and not self.ignores_flush:
            for sector in range(offset // SECTOR, (offset + len(data)) // SECTOR):
                self._settle(self.stable, sector, self.written.pop(sector)[-1])

    def flush(self):
        if self.ignores_flush:
            return
        for sector, versions in self.written.items():
            self._settle(self.stable, sector, versions[-1])
        self.written.clear()

    def cut(self, rng):
        """Returns the content after a loss of power, and how many sectors are not as they were written last."""
        content = bytearray(self.stable)
        kept = rng.choice((0.0, 1.0, rng.random(), rng.random()))  # none and all are cases too
        lost = 0
        for sector, versions in self.written.items():
            if rng.random() >= kept:
                lost += 1
                continue
            at = rng.randrange(len(versions)) if rng.random() < 0.5 else len(versions) - 1
            self._settle(content, sector, versions[at])
            lost += at != len(versions) - 1
        return bytes(content), lost

    @staticmethod
    def _settle(content, sector, version):
        content[sector * SECTOR : (sector + 1) * SECTOR] = version


class VolatileDisk:
    """Serves `cache` at the unix socket `path`, in a thread of its own, until `close`.

    `power_off` is set when the cut has come; after `close` the cache is the caller's again.
    """

    def __init__(self, path, cache):
        self.cache = cache
        self.power_off = threading.Event()
        self.flushes = 0
        self._requests = 0  # writes and flushes
        self._cut_at = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._connection = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def cut_after(self, requests):
        """The power goes in the write or flush that is so many from now: it is taken, not carried out to its end."""
        with self._lock:
            self._cut_at = self._requests + requests

    def close(self):
        """Cuts the power if that was not done, and drops the client."""
        with self._lock:
            self.power_off.set()
        self._closing.set()
        for end in (self._listener, self._connection):
            if end is not None:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the other end was quicker
        self._thread.join()
        self._listener.close()

    def _serve(self):
        try:
            self._connection, _ = self._listener.accept()
            with self._connection:
                if self._negotiate():
                    while self._carry_out_one():
                        pass
                self._closing.wait()  # a disk without power says nothing, not even goodbye
        except (EOFError, OSError):
            pass  # the client was killed, as it should be

    def _receive(self, length):
        data = bytearray()
        while len(data) < length:
            part = self._connection.recv(length - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)

    def _reply_option(self, option, kind, data=b""):
        self._connection.sendall(struct.pack(">QIII", MAGIC_OPTION_REPLY, option, kind, len(data)) + data)

    def _negotiate(self):
        """True when the client may send requests."""
        size_and_flags = struct.pack(">QH", len(self.cache.current), HAS_FLAGS | SEND_FLUSH | SEND_FUA)
        self._connection.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", FIXED_NEWSTYLE | NO_ZEROES))
        self._receive(4)
        while True:
            _, option, length = struct.unpack(">8sII", self._receive(16))
            self._receive(length)
            if option == OPTION_EXPORT_NAME:
                self._connection.sendall(size_and_flags)
                return True
            if option == OPTION_GO:
                self._reply_option(option, OPTION_INFO, struct.pack(">H", 0) + size_and_flags)
                self._reply_option(option, OPTION_ACK)
                return True
            if option == OPTION_ABORT:
                return False
            self._reply_option(option, OPTION_UNSUPPORTED)

    def _carry_out_one(self):
        """False: there is nothing more to answer."""
        _, flags, command, handle, offset, length = struct.unpack(">IHHQQI", self._receive(28))
        data = self._receive(length) if command == WRITE else b""
        if command == DISCONNECT:
            return False
        with self._lock:
            if self.power_off.is_set():
                return False
            error, answer = self._apply(command, flags, offset, length, data)
            if self.power_off.is_set():
                return False
        self._connection.sendall(struct.pack(">IIQ", MAGIC_REPLY, error, handle) + answer)
        return True

    def _apply(self, command, flags, offset, length, data):
        if command == READ:
            return 0, self.cache.read(offset, length)
        if command not in (WRITE, FLUSH) or offset % SECTOR or length % SECTOR:
            return EINVAL, b""
        self._requests += 1
        cut = self._requests == self._cut_at
        if command == WRITE:
            self.cache.write(offset, data, bool(flags & COMMAND_FUA) and not cut)
        elif not cut:
            self.cache.flush()
            self.flushes += 1
        if cut:
            self.power_off.set()
        return 0, b""
