"""The calendar of libberth-place against one that looks at every moment.

Times are small whole numbers, so that the oracle can add up what is committed at each of them.
"""

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from calendar_library import LATE, NEVER, NO_HOST, OK, OVERDRAW, TIME, UNKNOWN, Calendar
from calendar_library import amounts, library

HORIZON = 60  # nothing but NEVER ends later

settings.register_profile(
    "berth",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("berth")

times = st.integers(0, HORIZON - 1)
ends = st.one_of(st.integers(1, HORIZON), st.just(NEVER))
masks = st.integers(0, 3)
vectors = st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(any)


class Lives(RuleBasedStateMachine):
    @initialize(capacities=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=3), data=st.data())
    def begin(self, capacities, data):
        self.slices = [data.draw(st.lists(st.integers(2, 7), max_size=3)) for _ in capacities]
        self.calendar = Calendar(capacities, self.slices)
        self.devices = [list(slices) for slices in self.slices]  # free but for commitments
        self.room = [list(capacity) for capacity in capacities]
        self.entries = {}
        self.now = 0
        self.number = 0

    def teardown(self):
        if hasattr(self, "calendar"):
            self.calendar.close()

    def hosts(self):
        return range(len(self.room))

    def committed(self, host, time):
        """At one moment."""
        total = [0, 0]
        for where, vector, start, end, lasting, _ in self.entries.values():
            for d in range(2):
                if where == host and start <= time and (time < end or lasting >> d & 1):
                    total[d] += vector[d]
        return total

    def free(self, host, start, end):
        """Over [start, end); after the horizon nothing changes."""
        start = max(start, self.now)
        moments = range(start, max(start, min(end, HORIZON + 1)) + (end > HORIZON))
        most = [max((self.committed(host, t)[d] for t in moments), default=0) for d in range(2)]
        return [self.room[host][d] - most[d] for d in range(2)]

    def free_lasting(self, host, start, end, lasting):
        ending, for_good = self.free(host, start, end), self.free(host, start, NEVER)
        return [for_good[d] if lasting >> d & 1 else ending[d] for d in range(2)]

    def held(self, host, device, time):
        return sum(
            slices[device]
            for where, _, start, end, _, slices in self.entries.values()
            if where == host and start <= time < end and device < len(slices)
        )

    def free_devices(self, host, start, end):
        start = max(start, self.now)
        moments = range(start, max(start, min(end, HORIZON + 1)) + (end > HORIZON))
        return [
            free - max((self.held(host, device, t) for t in moments), default=0)
            for device, free in enumerate(self.devices[host])
        ]

    def fits(self, host, vector, start, end, lasting, slices=()):
        room = self.free_lasting(host, start, end, lasting)
        devices = self.free_devices(host, start, end) if slices else []
        return all(v == 0 or v <= r for v, r in zip(vector, room)) and all(
            s == 0 or s <= free for s, free in zip(slices, devices)
        )

    @rule(data=st.data(), vector=vectors, start=times, end=ends, lasting=masks)
    def commit(self, data, vector, start, end, lasting):
        host = data.draw(st.sampled_from(self.hosts()))
        slices = tuple(data.draw(st.integers(0, most)) for most in self.slices[host])
        self.number += 1
        result = self.calendar.commit(self.number, host, vector, start, end, lasting, slices)
        if start >= end or end <= self.now:
            assert result == TIME
        elif self.fits(host, vector, start, end, lasting, slices):
            assert result == OK
            self.entries[self.number] = (host, vector, start, end, lasting, slices)
        else:
            assert result == OVERDRAW

    @precondition(lambda self: self.entries)
    @rule(data=st.data())
    def cancel(self, data):
        number = data.draw(st.sampled_from(sorted(self.entries)))
        assert self.calendar.cancel(number) == OK
        assert self.calendar.cancel(number) == UNKNOWN
        del self.entries[number]

    @precondition(lambda self: self.entries)
    @rule(data=st.data(), end=ends)
    def set_end(self, data, end):
        number = data.draw(st.sampled_from(sorted(self.entries)))
        host, vector, start, old, lasting, slices = self.entries[number]
        result = self.calendar.set_end(number, end)
        if end <= start or end <= self.now:
            assert result == TIME
            return
        more = [0 if lasting >> d & 1 else vector[d] for d in range(2)]
        if end > old and not self.fits(host, more, max(old, self.now), end, 0, slices):
            assert result == OVERDRAW
        else:
            assert result == OK
            self.entries[number] = (host, vector, start, end, lasting, slices)

    @rule(data=st.data(), vector=vectors)
    def book_for_good(self, data, vector):
        host = data.draw(st.sampled_from(self.hosts()))
        taken = library.berth_place_take(self.calendar.place, host, amounts(vector))
        assert (taken == OK) == self.fits(host, vector, self.now, NEVER, 0)
        if taken == OK:
            self.room[host] = [r - v for r, v in zip(self.room[host], vector)]

    @precondition(lambda self: any(self.slices))
    @rule(data=st.data())
    def hold_a_slice_for_good(self, data):
        host = data.draw(st.sampled_from([h for h in self.hosts() if self.slices[h]]))
        device = data.draw(st.integers(0, len(self.slices[host]) - 1))
        taken = library.berth_place_take_devices(self.calendar.place, host, 1, 1 << device)
        assert (taken == OK) == (self.free_devices(host, self.now, NEVER)[device] > 0)
        self.devices[host][device] -= taken == OK

    @rule(hours=st.integers(1, 10))
    def pass_time(self, hours):
        if self.now + hours < HORIZON:
            self.now += hours
            self.calendar.advance(self.now)

    def place_all(self, vector, count, start, end, lasting, slices):
        """First fit is complete for equal vectors: as many as fit on each host in turn."""
        hosts = []
        for host in self.hosts():
            room = self.free_lasting(host, start, end, lasting)
            many = min((room[d] // vector[d] for d in range(2) if vector[d] > 0))
            if slices > 0:
                many = min(many, sum(free // slices for free in self.free_devices(host, start, end)))
            hosts += [host] * max(0, many)
        return hosts[:count] if len(hosts) >= count else None

    @rule(
        vector=vectors,
        count=st.integers(1, 4),
        start=times,
        duration=st.one_of(st.integers(1, 20), st.just(NEVER)),
        deadline=ends,
        lasting=masks,
        fixed=st.booleans(),
        slices=st.integers(0, 7),
    )
    def search(self, vector, count, start, duration, deadline, lasting, fixed, slices):
        result, at, hosts, devices = self.calendar.earliest(
            vector, count, start, duration, deadline, lasting, fixed, slices
        )
        for t in range(max(start, self.now), HORIZON + 1):
            end = t + duration if duration != NEVER else NEVER
            expected = self.place_all(vector, count, t, end, lasting, slices)
            if expected is not None:
                late = end > deadline or (fixed and t > start)
                assert (result, at, hosts) == (LATE if late else OK, t, expected)
                self.check_devices(t, end, hosts, devices, slices)
                return
        assert result == NO_HOST

    def check_devices(self, start, end, hosts, devices, slices):
        """One each, and none of which more is taken than is free."""
        free = [self.free_devices(host, start, end) for host in self.hosts()]
        for host, chosen in zip(hosts, devices):
            assert bin(chosen).count("1") == (slices > 0)
            if slices > 0:
                free[host][chosen.bit_length() - 1] -= slices
        assert slices == 0 or all(left >= 0 for row in free for left in row)

    @invariant()
    def all_is_as_added_up(self):
        if not hasattr(self, "calendar"):
            return
        self.calendar.check()
        for host in self.hosts():
            assert self.calendar.available(host) == self.free(host, self.now, NEVER)
            for start in (self.now, self.now + 7, HORIZON):
                for end in (start + 1, start + 9, NEVER):
                    assert self.calendar.free_on(host, start, end) == self.free(host, start, end)
                    devices = self.free_devices(host, start, end)
                    assert self.calendar.devices_on(host, start, end) == devices
            assert self.calendar.devices_shown(host) == self.free_devices(host, self.now, NEVER)

    @invariant()
    def nothing_is_overdrawn_at_any_time(self):
        for host in self.hosts() if hasattr(self, "calendar") else ():
            for t in range(self.now, HORIZON + 1):
                assert all(c <= r for c, r in zip(self.committed(host, t), self.room[host]))


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=150, stateful_step_count=30)
