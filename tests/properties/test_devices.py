"""The devices of libberth-place against a second implementation in Python.

Which hosts a request for devices fits, how many are missing, which devices it gets, how fragmentation is scored and
what booking changes are computed here a second time, from the words of place/devices.h and docs/placement.md, in
whole numbers and fractions. Run by Meson, or by hand:

    BERTH_PLACE_LIBRARY=build/src/place/libberth-place.so python3 -m pytest tests/properties/test_devices.py
"""

import ctypes
import math
from fractions import Fraction

from hypothesis import given, settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from test_place import (
    AMOUNT, ARGUMENT, CANDIDATE, CHOSEN, LACKS, NO_HOST, OK, OVERDRAW, OVERFILL, PREFERS_HIGH, SHORT, UNKNOWN, Decision,
    Fleet, Request, amounts, library, score_of,
)

DEVICE = 9
FRAGMENTATION = 9
WHOLE, ANY = 2**32 - 1, 2**64 - 1
PARTS = 720720000
N_DIMS = 2
MAX_SLICES = 1000000


class Device(ctypes.Structure):
    _fields_ = [("model", ctypes.c_uint32), ("capacity", ctypes.c_uint32), ("free", ctypes.c_uint32)]


class Asked(ctypes.Structure):
    _fields_ = [("n", ctypes.c_uint32), ("slices", ctypes.c_uint32), ("models", ctypes.c_uint64)]


class NewRequest(ctypes.Structure):
    _fields_ = Request._fields_ + [("devices", ctypes.POINTER(Asked))]


class NewDecision(ctypes.Structure):
    _fields_ = Decision._fields_ + [("devices", ctypes.c_uint64)]


class Typical(ctypes.Structure):
    _fields_ = [("vector", ctypes.POINTER(ctypes.c_int64)), ("devices", Asked), ("weight", ctypes.c_uint32)]


u32, u64 = ctypes.c_uint32, ctypes.c_uint64
# Through references of their own: the signatures of find and explain in test_place are for the older structs, which
# the library takes as well.
for name, argtypes in {
    "set_devices": (ctypes.c_void_p, u32, ctypes.POINTER(Device), u32),
    "get_devices": (ctypes.c_void_p, u32, ctypes.POINTER(Device), ctypes.POINTER(u32)),
    "choose_devices": (ctypes.c_void_p, ctypes.POINTER(NewRequest), u32, ctypes.POINTER(u64)),
    "take_devices": (ctypes.c_void_p, u32, u32, u64),
    "give_devices": (ctypes.c_void_p, u32, u32, u64),
    "set_workload": (ctypes.c_void_p, ctypes.POINTER(Typical), u32),
    "fragments": (ctypes.c_void_p, u32, ctypes.POINTER(ctypes.c_double)),
    "begin": (ctypes.c_void_p,),
    "rollback": (ctypes.c_void_p,),
}.items():
    function = getattr(library, "berth_place_" + name)
    function.argtypes = argtypes
    function.restype = ctypes.c_int


def as_new(request):
    return ctypes.cast(ctypes.pointer(request), ctypes.POINTER(Request))


def ask(policy, vector, devices):
    request = NewRequest(struct_size=ctypes.sizeof(NewRequest), policy=policy, vector=amounts(vector))
    if devices is not None:
        request.devices = ctypes.pointer(Asked(*devices))
    return request


class DeviceFleet(Fleet):
    def set_devices(self, host, devices):
        return self.call("set_devices", host, (Device * max(len(devices), 1))(*(Device(*d) for d in devices)),
                         len(devices))

    def devices(self, host):
        out, n = (Device * 64)(), u32()
        assert self.call("get_devices", host, out, n) == OK
        return [(d.model, d.capacity, d.free) for d in out[:n.value]]

    def set_workload(self, typical):
        rows = (Typical * max(len(typical), 1))(
            *(Typical(amounts(vector), Asked(*(devices or (0, 0, 0))), weight) for vector, devices, weight in typical))
        return self.call("set_workload", rows, len(typical))

    def find_devices(self, request):
        decision = NewDecision(struct_size=ctypes.sizeof(NewDecision), host=0xDEAD, score=-1, devices=0xBAD)
        result = self.call("find", as_new(request), ctypes.cast(ctypes.pointer(decision), ctypes.POINTER(Decision)))
        if result != OK:
            assert (decision.host, decision.score, decision.devices) == (0xDEAD, -1, 0xBAD)
        return result, decision

    def fragments(self, host):
        out = ctypes.c_double(-1)
        assert self.call("fragments", host, out) == OK
        return out.value


class Model:
    """A host."""

    def __init__(self, capacity, devices):
        self.capacity = tuple(capacity)
        self.available = tuple(capacity)
        self.devices = list(devices)


def usable(device, asked):
    (model, capacity, free), (_, slices, models) = device, asked
    return models >> model & 1 == 1 and (free == capacity if slices == WHOLE else free >= slices)


def usable_ones(devices, asked):
    return [i for i, device in enumerate(devices) if usable(device, asked)]


def tightest(devices, asked):
    return sorted(sorted(usable_ones(devices, asked), key=lambda i: (devices[i][2], i))[:asked[0]])


def moved(devices, slices, chosen, sign):
    return [(m, c, f + sign * (c if slices == WHOLE else slices)) if i in chosen else (m, c, f)
            for i, (m, c, f) in enumerate(devices)]


def fragments_of(typical, available, devices):
    """Of docs/placement.md, times PARTS and the sum of weights."""
    part = [PARTS * free // capacity for _, capacity, free in devices]
    total = 0
    for vector, asked, weight in typical:
        fits = all(v <= a for v, a in zip(vector, available) if v > 0)
        good = usable_ones(devices, asked) if asked else []
        if asked and fits and len(good) >= asked[0]:
            total += weight * sum(p for i, p in enumerate(part) if i not in good)
        else:
            total += weight * sum(part)
    return total


def placed(host, vector, asked, typical):
    """The score of fragmentation and the devices it takes."""
    after = tuple(a - v for a, v in zip(host.available, vector))
    if asked is None:
        options = [[]]
    elif asked[0] == 1:
        options = [[i] for i in usable_ones(host.devices, asked)]
    else:
        options = [tightest(host.devices, asked)]
    slices = asked[1] if asked else 0
    ranked = [(fragments_of(typical, after, moved(host.devices, slices, chosen, -1)),
               [host.devices[i][2] for i in chosen], chosen) for chosen in options]
    fragments, _, chosen = min(ranked)
    increase = fragments - fragments_of(typical, host.available, host.devices)
    weight = sum(w for _, _, w in typical)
    return float(math.ceil(Fraction(25 * increase, PARTS * weight))), chosen


def verdict(host, policy, vector, asked, typical):
    """Reason, missing, score."""
    for d in range(N_DIMS):
        if vector[d] > 0 and host.capacity[d] == 0:
            return LACKS, vector[d] - host.available[d], 0.0
    for d in range(N_DIMS):
        if vector[d] > host.available[d] and vector[d] > 0:
            return SHORT, vector[d] - host.available[d], 0.0
    if asked and len(usable_ones(host.devices, asked)) < asked[0]:
        return DEVICE, asked[0] - len(usable_ones(host.devices, asked)), 0.0
    if policy == FRAGMENTATION:
        return CANDIDATE, 0, placed(host, vector, asked, typical)[0]
    return CANDIDATE, 0, score_of(policy, vector, host.available, host.capacity)


def check_answer(fleet, hosts, policy, vector, asked, typical):
    """Holds find, explain and the devices chosen against the model; answers with host and devices."""
    request = ask(policy, vector, asked)
    expected = {n: verdict(h, policy, vector, asked, typical) for n, h in hosts.items()}
    candidates = [n for n, (reason, _, _) in expected.items() if reason == CANDIDATE]
    sign = -1 if policy in PREFERS_HIGH else 1
    best = min(candidates, key=lambda n: (sign * expected[n][2], n), default=None)

    result, verdicts = fleet.explain(as_new(request))
    assert result == (OK if candidates else NO_HOST)
    assert [(n, r, m, s) for n, r, s, _, m in verdicts] == [
        (n, CHOSEN if n == best else expected[n][0], expected[n][1], expected[n][2]) for n in sorted(hosts)]
    result, decision = fleet.find_devices(request)
    if best is None:
        assert result == NO_HOST
        return None
    assert (result, decision.host, decision.score) == (OK, best, expected[best][2])
    if asked is None:
        chosen = []
    elif policy == FRAGMENTATION:
        chosen = placed(hosts[best], vector, asked, typical)[1]
    else:
        chosen = tightest(hosts[best].devices, asked)
    assert decision.devices == sum(1 << i for i in chosen)
    return best, chosen


capacities = st.sampled_from([1, 2, 7, 10, 10, 1000, MAX_SLICES])
device = st.tuples(st.integers(0, 3), capacities, st.none() | st.integers(0, 1000)).map(
    lambda d: (d[0], d[1], d[1] if d[2] is None else min(d[1], d[2] * d[1] // 1000)))
slices = st.just(WHOLE) | st.integers(1, 10) | st.sampled_from([500, 1000])
asked = st.tuples(st.integers(1, 3), slices, st.just(ANY) | st.integers(1, 15))
vector = st.tuples(st.integers(0, 10), st.integers(0, 10))
typical = st.lists(st.tuples(vector, st.none() | asked, st.integers(1, 50)), min_size=1, max_size=6)
host = st.builds(Model, st.tuples(st.integers(0, 20), st.integers(0, 20)), st.lists(device, max_size=6))
policy = st.integers(0, 7) | st.just(FRAGMENTATION)


def build(hosts, workload):
    fleet = DeviceFleet(N_DIMS)
    for number, h in hosts.items():
        assert fleet.call("add", number, number, amounts(h.capacity), None) == OK
        assert fleet.set_devices(number, h.devices) == OK
    assert fleet.set_workload(workload) == OK
    return fleet


@settings(max_examples=500)
@given(st.dictionaries(st.integers(0, 70), host, min_size=1, max_size=6), policy, vector.filter(any), st.none() | asked,
       typical)
def test_decision_reasons_and_devices_are_the_documented_ones(hosts, policy, vector, asked, typical):
    fleet = build(hosts, typical)
    check_answer(fleet, hosts, policy, vector, asked, typical)
    weight = sum(w for _, _, w in typical)
    for number, h in hosts.items():
        assert fleet.fragments(number) == float(fragments_of(typical, h.available, h.devices)) / float(PARTS * weight)
        chosen = u64(77)
        result = fleet.call("choose_devices", ask(0, vector, asked or (1, 1, ANY)), number, chosen)
        want = asked or (1, 1, ANY)
        if len(usable_ones(h.devices, want)) < want[0]:
            assert (result, chosen.value) == (NO_HOST, 77)
        else:
            assert (result, chosen.value) == (OK, sum(1 << i for i in tightest(h.devices, want)))
    assert fleet.call("check") is None


@settings(max_examples=150)
@given(st.lists(device, max_size=4), st.permutations(range(6)), typical)
def test_the_order_of_what_is_typical_makes_no_difference(devices, order, typical):
    shuffled = [typical[i] for i in order if i < len(typical)]
    fleet, other = (build({0: Model((9, 9), devices)}, w) for w in (typical, shuffled))
    assert fleet.fragments(0) == other.fragments(0)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_what_is_asked_for_is_checked(n, slices, models):
    fleet = build({0: Model((9, 9), [(0, 10, 10)])}, [((1, 1), None, 1)])
    result, _ = fleet.find_devices(ask(0, (1, 1), (n, slices, models)))
    if not 1 <= n <= 64 or models == 0:
        assert result == ARGUMENT
    elif slices == 0 or MAX_SLICES < slices < WHOLE:
        assert result == AMOUNT
    else:
        fits = n == 1 and models & 1 and (slices <= 10 or slices == WHOLE)
        assert result == (OK if fits else NO_HOST)


@given(st.lists(st.tuples(st.integers(0, 70), st.sampled_from([0, 1, MAX_SLICES, MAX_SLICES + 1]), st.integers(0, 2)),
                max_size=66))
def test_what_a_host_has_is_checked(devices):
    before = [(1, 5, 2)]
    fleet = build({0: Model((9, 9), before)}, [((1, 1), None, 1)])
    result = fleet.set_devices(0, devices)
    if len(devices) > 64:
        assert result == ARGUMENT
    else:
        first = next((ARGUMENT if m >= 64 else AMOUNT for m, c, f in devices
                      if m >= 64 or not 1 <= c <= MAX_SLICES or f > c), OK)
        assert result == first
    assert fleet.devices(0) == (devices if result == OK else before)
    assert fleet.set_devices(1, []) == UNKNOWN


class DevicesMachine(RuleBasedStateMachine):
    """VMs with devices come and go next to a model of it; questions of what would be leave no trace."""

    taken = Bundle("taken")

    @initialize(hosts=st.lists(host, min_size=1, max_size=4), typical=typical)
    def start(self, hosts, typical):
        self.hosts = dict(enumerate(hosts))
        self.typical = typical
        self.fleet = build(self.hosts, typical)

    def book(self, number, vector, slices, chosen, sign):
        h = self.hosts[number]
        h.available = tuple(a + sign * v for a, v in zip(h.available, vector))
        h.devices = moved(h.devices, slices, chosen, sign)

    @rule(target=taken, policy=policy, vector=vector.filter(any), asked=st.none() | asked)
    def place(self, policy, vector, asked):
        answer = check_answer(self.fleet, self.hosts, policy, vector, asked, self.typical)
        if answer is None:
            return None
        number, chosen = answer
        slices = asked[1] if asked else 0
        assert self.fleet.call("take", number, amounts(vector)) == OK
        if chosen:
            assert self.fleet.call("take_devices", number, slices, sum(1 << i for i in chosen)) == OK
        self.book(number, vector, slices, chosen, -1)
        return number, vector, slices, chosen

    @rule(vm=consumes(taken))
    def remove(self, vm):
        if vm is not None:
            number, vector, slices, chosen = vm
            assert self.fleet.call("give", number, amounts(vector)) == OK
            if chosen:
                assert self.fleet.call("give_devices", number, slices, sum(1 << i for i in chosen)) == OK
            self.book(number, vector, slices, chosen, 1)

    @rule(data=st.data(), slices=slices, gives=st.booleans())
    def try_and_roll_back(self, data, slices, gives):
        number = data.draw(st.sampled_from(sorted(self.hosts)))
        devices = self.hosts[number].devices
        chosen = data.draw(st.sets(st.integers(0, 7), max_size=3))
        assert self.fleet.call("begin") == OK
        result = self.fleet.call("give_devices" if gives else "take_devices", number, slices,
                                 sum(1 << i for i in chosen))
        if not chosen or max(chosen) >= len(devices):
            assert result == ARGUMENT
        elif gives:
            fits = all((c if slices == WHOLE else slices) <= c - f for _, c, f in (devices[i] for i in chosen))
            assert result == (OK if fits else OVERFILL)
        else:
            fits = all((c if slices == WHOLE else slices) <= f for _, c, f in (devices[i] for i in chosen))
            assert result == (OK if fits else OVERDRAW)
        assert self.fleet.call("check") is None
        assert self.fleet.call("rollback") == OK

    @invariant()
    def the_fleet_is_the_model(self):
        if hasattr(self, "fleet"):
            assert self.fleet.call("check") is None
            for number, h in self.hosts.items():
                assert self.fleet.available(number) == h.available
                assert self.fleet.devices(number) == h.devices


TestDevicesMachine = DevicesMachine.TestCase
TestDevicesMachine.settings = settings(max_examples=40, stateful_step_count=25)
