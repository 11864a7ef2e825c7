"""Preemption of libberth-place against a search through all sets in Python.

Small fleets with rules, labels, devices and VMs, some of which may be taken away. Whether a host has room without a
set of its VMs is computed here from the words of place/preempt.h, rules.h and devices.h, for every set of every
candidate; the least of those that make room (number, then priority, then ages, then the candidate) must be the
answer. What nobody named stays, and the fleet is afterwards as before.

    BERTH_PLACE_LIBRARY=build/src/place/libberth-place.so python3 -m pytest tests/properties/test_preempt.py

BERTH_PREEMPT_FLEETS=n plays more fleets than the few hundred of an ordinary run.
"""

import ctypes
import itertools
import os
import random

from hypothesis import given, settings, strategies as st

from test_devices import ANY, WHOLE, Device, NewRequest, as_new, missing, moved, set_demands, usable_ones
from test_place import AMOUNT, CANDIDATE, NO_HOST, OK, Decision, amounts, library, make_request
from test_rules import Model, numbers

FLEETS = int(os.environ.get("BERTH_PREEMPT_FLEETS", "400"))
MAX_VICTIMS = 32


class Holding(ctypes.Structure):
    _fields_ = [("slices", ctypes.c_uint32), ("devices", ctypes.c_uint64)]


class Victim(ctypes.Structure):
    _fields_ = [
        ("priority", ctypes.c_int32),
        ("since", ctypes.c_int64),
        ("vector", ctypes.POINTER(ctypes.c_int64)),
        ("stays", ctypes.c_bool),
        ("n_groups", ctypes.c_uint32),
        ("groups", ctypes.POINTER(ctypes.c_uint32)),
        ("n_holdings", ctypes.c_uint32),
        ("holdings", ctypes.POINTER(Holding)),
    ]


class Candidate(ctypes.Structure):
    _fields_ = [("host", ctypes.c_uint32), ("n_victims", ctypes.c_uint32), ("victims", ctypes.POINTER(Victim))]


class Preemption(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("host", ctypes.c_uint32),
        ("n_victims", ctypes.c_uint32),
        ("victims", ctypes.c_uint32 * MAX_VICTIMS),
        ("exact", ctypes.c_bool),
        ("nodes", ctypes.c_uint64),
    ]


library.berth_place_preempt.argtypes = (
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(Candidate), ctypes.c_uint64,
    ctypes.POINTER(Preemption),
)  # fmt: skip
library.berth_place_preempt.restype = ctypes.c_int


class Vm:
    """One that may be taken: what it is worth and what its leaving gives back."""

    def __init__(self, rng, vector, groups, holdings):
        self.priority = rng.randint(-1, 2)
        self.since = rng.randint(0, 5)
        self.stays = rng.random() < 0.25
        # Some give back less than they have, as one that keeps its disk.
        self.vector = [rng.randint(0, v) if rng.random() < 0.15 else v for v in vector]
        self.groups, self.holdings = groups, holdings

    def as_c(self):
        holdings = (Holding * max(len(self.holdings), 1))(*(Holding(*h) for h in self.holdings))
        return Victim(self.priority, self.since, amounts(self.vector), self.stays, len(self.groups),
                      numbers(self.groups), len(self.holdings), holdings)  # fmt: skip


class Scene(Model):
    def __init__(self, rng):
        super().__init__(rng, most_hosts=4)
        self.details = []  # a Vm for each of self.vms, None for one that nobody may take
        for number, host in self.hosts.items():
            host["devices"] = [(rng.randint(0, 1), 4, 4) for _ in range(rng.choice((0, 0, 1, 2, 3)))]
            self.set_devices(number)
        for _ in range(rng.choice((0, 3, 5))):
            self.change_rule()
        for number in self.hosts:
            for _ in range(rng.randint(1, 6)):
                self.put(number)
            if rng.random() < 0.8:
                self.fill(number)

    def set_devices(self, number):
        devices = self.hosts[number]["devices"]
        array = (Device * max(len(devices), 1))(*(Device(*d) for d in devices))
        assert self.fleet.call("set_devices", number, array, len(devices)) == OK

    def draw_holdings(self, host):
        """Up to two demands on devices, each with the same slices of some."""
        found, devices = [], host["devices"]
        for _ in range(self.rng.choice((0, 0, 1, 2))):
            slices = self.rng.choice((1, 2, 3, WHOLE))
            usable = usable_ones(devices, (1, slices, ANY))
            if usable:
                chosen = self.rng.sample(usable, self.rng.randint(1, len(usable)))
                devices = moved(devices, slices, chosen, -1)
                found.append((slices, sum(1 << i for i in chosen)))
        return found

    def put(self, number):
        rng, host = self.rng, self.hosts[number]
        vector = [rng.randint(0, max(0, min(4, a))) for a in host["available"]]
        groups = sorted(rng.sample(range(4), rng.choice((0, 1, 1, 2))))
        holdings = self.draw_holdings(host)
        assert self.fleet.call("take", number, amounts(vector)) == OK
        assert self.fleet.call("enter", number, numbers(groups), len(groups)) == OK
        for slices, mask in holdings:
            assert self.fleet.call("take_devices", number, slices, mask) == OK
            host["devices"] = moved(host["devices"], slices, [i for i in range(64) if mask >> i & 1], -1)
        host["available"] = [a - v for a, v in zip(host["available"], vector)]
        self.vms.append((number, groups))
        self.details.append(Vm(rng, vector, groups, holdings) if rng.random() < 0.85 else None)

    def fill(self, number):
        """What is left is nearly all taken by what nobody may take away."""
        host = self.hosts[number]
        rest = [max(0, a - self.rng.randint(0, 1)) for a in host["available"]]
        assert self.fleet.call("take", number, amounts(rest)) == OK
        host["available"] = [a - r for a, r in zip(host["available"], rest)]

    def draw_request(self):
        rng = self.rng
        self.policy = rng.randint(0, 7)
        has_second = all(host["capacity"][1] > 0 for host in self.hosts.values())
        self.vector = [rng.randint(1, 6), rng.choice((0, 0, 1, 3)) if has_second or rng.random() < 0.1 else 0]
        self.groups = sorted(rng.sample(range(4), rng.choice((0, 1, 1, 2))))
        self.labels = sorted(rng.sample(range(2), rng.choice((0,) * 7 + (1,))))
        self.allowed = set(rng.sample(range(4), 3)) if rng.random() < 0.2 else None
        self.banned = {rng.randint(0, 3)} if rng.random() < 0.15 else set()
        models = rng.choice(((),) * 6 + ((ANY,), (ANY,), (1,), (1, 2)))
        self.demands = [(rng.randint(1, 2), rng.choice((1, 2, 4, WHOLE)), its) for its in models]
        request = make_request(self.policy, self.vector, self.allowed, self.banned)
        new = NewRequest(*(getattr(request, name) for name, _ in request._fields_))
        new.n_groups, new.groups = len(self.groups), numbers(self.groups)
        new.n_labels, new.labels = len(self.labels), numbers(self.labels)
        set_demands(new, self.demands)
        self.parts = request  # which owns the arrays
        return new

    def draw_candidates(self):
        """Some hosts in some order, each with some of the VMs there that may be taken."""
        rng = self.rng
        order = rng.sample(sorted(self.hosts), rng.randint(max(1, len(self.hosts) - 1), len(self.hosts)))
        candidates = []
        for number in order:
            its = [i for i, (host, _) in enumerate(self.vms) if host == number and self.details[i]]
            candidates.append((number, rng.sample(its, max(0, len(its) - rng.choice((0, 0, 1))))))
        return candidates

    def makes_room(self, number, indices):
        """Whether the request fits the host once these VMs have left."""
        host = self.hosts[number]
        if (self.allowed is not None and number not in self.allowed) or number in self.banned:
            return False
        available, devices = host["available"], host["devices"]
        for i in indices:
            vm = self.details[i]
            available = [a + v for a, v in zip(available, vm.vector)]
            for slices, mask in vm.holdings:
                devices = moved(devices, slices, [d for d in range(64) if mask >> d & 1], 1)
        if missing(devices, self.demands) > 0:
            return False
        if any(v > a for v, a in zip(self.vector, available) if v > 0):
            return False
        gone = {i for i in indices if not self.details[i].stays}
        before, self.vms = self.vms, [vm for i, vm in enumerate(self.vms) if i not in gone]
        host["available"], kept = available, host["available"]
        try:
            return self.verdict(self.policy, self.vector, self.groups, self.labels, number)[0] == CANDIDATE
        finally:
            self.vms, host["available"] = before, kept

    def worth(self, at, indices):
        """Smaller is better: number, highest priority, the oldest youngest, the candidate."""
        vms = [self.details[i] for i in indices]
        return (len(vms), max((vm.priority for vm in vms), default=0), [-s for s in sorted(vm.since for vm in vms)], at)

    def least(self, candidates):
        best = None
        for n in range(max((len(its) for _, its in candidates), default=0) + 1):
            for at, (number, its) in enumerate(candidates):
                for indices in itertools.combinations(its, n):
                    worth = self.worth(at, indices)
                    if (best is None or worth < best) and self.makes_room(number, indices):
                        best = worth
            if best is not None:
                return best
        return None

    def preempt(self, request, candidates, limit):
        arrays = [(Victim * max(len(its), 1))(*(self.details[i].as_c() for i in its)) for _, its in candidates]
        rows = (Candidate * max(len(candidates), 1))(
            *(Candidate(number, len(its), array) for (number, its), array in zip(candidates, arrays)))
        answer = Preemption(struct_size=ctypes.sizeof(Preemption), host=0xDEAD, n_victims=77)
        result = self.fleet.call("preempt", ctypes.byref(request), len(candidates), rows, limit, answer)
        if result != OK:
            assert (answer.host, answer.n_victims) == (0xDEAD, 77)
            return result, None, None
        told = list(answer.victims[:answer.n_victims])
        assert told == sorted(set(told))
        at = next(i for i, (number, _) in enumerate(candidates) if number == answer.host)
        return result, (at, [candidates[at][1][i] for i in told]), answer.exact

    def assert_as_before(self, request):
        assert self.fleet.call("check") is None
        for number, host in self.hosts.items():
            assert self.fleet.available(number) == tuple(host["available"])
            out, n = (Device * 64)(), ctypes.c_uint32()
            assert self.fleet.call("get_devices", number, out, ctypes.byref(n)) == OK
            assert [(d.model, d.capacity, d.free) for d in out[:n.value]] == host["devices"]
        plain = make_request(self.policy, self.vector)
        plain.n_groups, plain.groups = request.n_groups, request.groups
        plain.n_labels, plain.labels = request.n_labels, request.labels
        self.check_verdicts(plain, self.policy, self.vector, self.groups, self.labels)

    def take_away(self, number, indices):
        """As the caller does with the answer."""
        for i in indices:
            vm, host = self.details[i], self.hosts[number]
            assert self.fleet.call("give", number, amounts(vm.vector)) == OK
            for slices, mask in vm.holdings:
                assert self.fleet.call("give_devices", number, slices, mask) == OK
            host["available"] = [a + v for a, v in zip(host["available"], vm.vector)]
            if not vm.stays:
                assert self.fleet.call("leave", number, numbers(vm.groups), len(vm.groups)) == OK


@settings(max_examples=FLEETS)
@given(seed=st.integers(0, 2**64 - 1))
def test_the_least_set_that_makes_room_is_taken(seed):
    rng = random.Random(seed)
    scene = Scene(rng)
    request, candidates = scene.draw_request(), scene.draw_candidates()
    best = scene.least(candidates)

    result, answer, exact = scene.preempt(request, candidates, 0)
    assert result == (NO_HOST if best is None else OK)
    if answer is not None:
        at, indices = answer
        assert exact
        assert scene.worth(at, indices) == best
        assert scene.makes_room(candidates[at][0], indices)
    scene.assert_as_before(request)

    # A search that is cut short may answer with more, never with what makes no room, and says so.
    result, answer, exact = scene.preempt(request, candidates, rng.randint(1, 12))
    assert result == OK or result == NO_HOST
    if answer is not None:
        assert scene.makes_room(candidates[answer[0]][0], answer[1])
        assert not exact or scene.worth(*answer) == best
    scene.assert_as_before(request)

    if answer is not None:
        number = candidates[answer[0]][0]
        scene.take_away(number, answer[1])
        only = make_request(scene.policy, scene.vector, {number})
        request.allowed, request.allowed_words = only.allowed, only.allowed_words
        decision = Decision(ctypes.sizeof(Decision))
        assert (scene.fleet.call("find", as_new(request), decision), decision.host) == (OK, number)
        assert scene.fleet.call("take", number, amounts(scene.vector)) == OK
        assert scene.fleet.call("check") is None


def test_what_gives_back_no_amount_is_refused():
    scene = Scene(random.Random(1))
    number = next(iter(scene.hosts))
    scene.vms, scene.details = [(number, [])], [Vm(scene.rng, [1, 1], [], [])]
    request = scene.draw_request()
    for amount in (-1, 2**43):
        scene.details[0].vector = [amount, 0]
        assert scene.preempt(request, [(number, [0])], 0)[0] == AMOUNT
