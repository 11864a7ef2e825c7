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
    @initialize(capacities=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=3))
    def begin(self, capacities):
        self.calendar = Calendar(capacities)
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
        for where, vector, start, end, lasting in self.entries.values():
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

    def fits(self, host, vector, start, end, lasting):
        room = self.free_lasting(host, start, end, lasting)
        return all(v == 0 or v <= r for v, r in zip(vector, room))

    @rule(data=st.data(), vector=vectors, start=times, end=ends, lasting=masks)
    def commit(self, data, vector, start, end, lasting):
        host = data.draw(st.sampled_from(self.hosts()))
        self.number += 1
        result = self.calendar.commit(self.number, host, vector, start, end, lasting)
        if start >= end or end <= self.now:
            assert result == TIME
        elif self.fits(host, vector, start, end, lasting):
            assert result == OK
            self.entries[self.number] = (host, vector, start, end, lasting)
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
        host, vector, start, old, lasting = self.entries[number]
        result = self.calendar.set_end(number, end)
        if end <= start or end <= self.now:
            assert result == TIME
            return
        more = [0 if lasting >> d & 1 else vector[d] for d in range(2)]
        if end > old and not self.fits(host, more, max(old, self.now), end, 0):
            assert result == OVERDRAW
        else:
            assert result == OK
            self.entries[number] = (host, vector, start, end, lasting)

    @rule(data=st.data(), vector=vectors)
    def book_for_good(self, data, vector):
        host = data.draw(st.sampled_from(self.hosts()))
        taken = library.berth_place_take(self.calendar.place, host, amounts(vector))
        assert (taken == OK) == self.fits(host, vector, self.now, NEVER, 0)
        if taken == OK:
            self.room[host] = [r - v for r, v in zip(self.room[host], vector)]

    @rule(hours=st.integers(1, 10))
    def pass_time(self, hours):
        if self.now + hours < HORIZON:
            self.now += hours
            self.calendar.advance(self.now)

    def place_all(self, vector, count, start, end, lasting):
        """First fit is complete for equal vectors: as many as fit on each host in turn."""
        hosts = []
        for host in self.hosts():
            room = self.free_lasting(host, start, end, lasting)
            many = min((room[d] // vector[d] for d in range(2) if vector[d] > 0))
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
    )
    def search(self, vector, count, start, duration, deadline, lasting, fixed):
        result, at, hosts = self.calendar.earliest(vector, count, start, duration, deadline, lasting, fixed)
        for t in range(max(start, self.now), HORIZON + 1):
            end = t + duration if duration != NEVER else NEVER
            expected = self.place_all(vector, count, t, end, lasting)
            if expected is not None:
                late = end > deadline or (fixed and t > start)
                assert (result, at, hosts) == (LATE if late else OK, t, expected)
                return
        assert result == NO_HOST

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

    @invariant()
    def nothing_is_overdrawn_at_any_time(self):
        for host in self.hosts() if hasattr(self, "calendar") else ():
            for t in range(self.now, HORIZON + 1):
                assert all(c <= r for c, r in zip(self.committed(host, t), self.room[host]))


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=150, stateful_step_count=30)
