"""Queues planned by libberth-place, played to their end on random workloads.

Jobs run shorter than estimated, come at any time, and ask for several VMs at once. A promise that a
later round breaks, a job that is started where it does not fit, or an order that gains nothing fails.
"""

import ctypes
import heapq
import random
import statistics

from calendar_library import CONSERVATIVE, EASY, IN_ORDER, JOB_LATE, JOB_NEVER, NEVER, OK, PLANNED
from calendar_library import STARTS, WAITS, Calendar, Job, Plan, library, make_request, u32

HOSTS = [(8, 16)] * 4 + [(16, 16)] * 2


class Waiting:
    def __init__(self, arrival, count, vector, runs, estimate, deadline=NEVER):
        self.arrival, self.count, self.vector = arrival, count, vector
        self.runs, self.estimate, self.deadline = runs, estimate, deadline
        self.request = make_request(vector)
        self.hosts = (u32 * count)()
        self.plan = Plan(struct_size=ctypes.sizeof(Plan), hosts=self.hosts)
        self.promise = self.started = None
        self.was_head = False

    def job(self):
        return Job(
            struct_size=ctypes.sizeof(Job),
            count=self.count,
            request=ctypes.pointer(self.request),
            duration=self.estimate,
            deadline=self.deadline,
        )


def workload(seed, n=60):
    rng = random.Random(seed)
    jobs, now = [], 0
    for _ in range(n):
        now += rng.randint(0, 12)
        estimate = rng.choice([2, 5, 10, 20, 60, 120])
        runs = max(1, estimate * rng.choice([25, 50, 100, 100]) // 100)
        wide = rng.random() < 0.25
        count = rng.randint(3, 6) if wide else rng.randint(1, 2)
        jobs.append(Waiting(now, count, (rng.randint(1, 8), rng.randint(1, 12)), runs, estimate))
    return jobs


class Cluster:
    """Runs a workload; `running` is what the calendar holds."""

    def __init__(self, mode):
        self.mode, self.calendar = mode, Calendar(HOSTS)
        self.queue, self.ends, self.numbers, self.now = [], [], 0, 0

    def start(self, job):
        numbers = []
        for host in job.hosts:
            self.numbers += 1
            numbers.append(self.numbers)
            end = self.now + job.estimate
            assert self.calendar.commit(self.numbers, host, job.vector, self.now, end) == OK
        job.started = self.now
        heapq.heappush(self.ends, (self.now + job.runs, self.numbers, numbers))

    def plan(self):
        n = len(self.queue)
        jobs = (Job * n)(*(job.job() for job in self.queue))
        plans = (Plan * n)(*(job.plan for job in self.queue))
        before = [self.calendar.available(host) for host in range(len(HOSTS))]
        result = library.berth_backfill(
            self.calendar.handle, self.now, self.mode, jobs, n, 4096, plans
        )
        assert result == OK
        assert before == [self.calendar.available(host) for host in range(len(HOSTS))]
        for job, plan in zip(self.queue, plans):
            job.plan = Plan.from_buffer_copy(plan)
            job.plan.hosts = job.hosts

    def keep_promises(self):
        waiting = [job for job in self.queue if job.plan.state != STARTS]
        for job in self.queue:
            head = waiting and job is waiting[0]
            bound = self.mode == CONSERVATIVE or (self.mode == EASY and job.was_head)
            if job.plan.state in (STARTS, PLANNED):
                if bound and job.promise is not None:
                    assert job.plan.start <= job.promise, "a promise was broken"
                job.promise = job.plan.start if job.plan.state == PLANNED else job.promise
            else:
                assert not bound or job.promise is None, "a promise was forgotten"
            job.was_head = job.was_head or head

    def step(self):
        self.plan()
        self.keep_promises()
        for job in [job for job in self.queue if job.plan.state == STARTS]:
            self.start(job)
            self.queue.remove(job)
        self.calendar.check()

    def run(self, jobs):
        arrivals = sorted(jobs, key=lambda job: job.arrival)
        while arrivals or self.queue or self.ends:
            times = [arrivals[0].arrival] if arrivals else []
            times += [self.ends[0][0]] if self.ends else []
            self.now = min(times)
            self.calendar.advance(self.now)
            while self.ends and self.ends[0][0] == self.now:
                for number in heapq.heappop(self.ends)[2]:
                    self.calendar.cancel(number)
            while arrivals and arrivals[0].arrival == self.now:
                self.queue.append(arrivals.pop(0))
            self.step()
        for host, capacity in enumerate(HOSTS):
            assert self.calendar.available(host) == list(capacity)
        self.calendar.close()
        return statistics.mean(job.started - job.arrival for job in jobs)


def test_promises_hold_and_waits_are_shorter():
    waits = {mode: [] for mode in (IN_ORDER, EASY, CONSERVATIVE)}
    for seed in range(25):
        for mode, means in waits.items():
            means.append(Cluster(mode).run(workload(seed)))
    in_order = statistics.mean(waits[IN_ORDER])
    print({mode: round(statistics.mean(means), 1) for mode, means in waits.items()})
    assert statistics.mean(waits[EASY]) < in_order
    assert statistics.mean(waits[CONSERVATIVE]) < in_order


def plan_once(mode, jobs, running=()):
    cluster = Cluster(mode)
    for job in running:
        job.hosts[:] = range(job.count)
        cluster.start(job)
    cluster.queue = list(jobs)
    cluster.plan()
    cluster.calendar.check()
    cluster.calendar.close()
    return [(job.plan.state, job.plan.start) for job in jobs]


def queue():
    """A running job on all hosts but one, a head that needs all, one short and one long behind it."""
    running = Waiting(0, 5, (8, 16), 10, 10)
    head = Waiting(0, 6, (8, 16), 5, 5)
    short, long = Waiting(0, 1, (8, 16), 10, 10), Waiting(0, 1, (8, 16), 11, 11)
    return [running], [head, long, short]


def test_in_order_nobody_overtakes():
    running, jobs = queue()
    assert [state for state, _ in plan_once(IN_ORDER, jobs, running)] == [PLANNED, WAITS, WAITS]


def test_easy_starts_what_does_not_delay_the_head():
    running, jobs = queue()
    assert plan_once(EASY, jobs, running)[0] == (PLANNED, 10)
    assert [job.plan.state for job in jobs] == [PLANNED, WAITS, STARTS]


def test_conservative_plans_all():
    running, jobs = queue()
    assert plan_once(CONSERVATIVE, jobs, running) == [(PLANNED, 10), (PLANNED, 15), (STARTS, 0)]


def test_what_cannot_be_in_time_holds_nothing():
    running, jobs = queue()
    late = Waiting(0, 6, (8, 16), 5, 5, deadline=14)
    never = Waiting(0, 7, (8, 16), 5, 5)
    plans = plan_once(CONSERVATIVE, [late, never, *jobs], running)
    assert plans[0] == (JOB_LATE, 10)
    assert plans[1][0] == JOB_NEVER
    assert plans[2:] == [(PLANNED, 10), (PLANNED, 15), (STARTS, 0)]
