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
    _fields_ = Request._fields_ + [("devices", ctypes.POINTER(Asked)), ("n_devices", ctypes.c_uint32)]


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


def set_demands(request, demands, counts_one=True):
    """A caller of an older version knows a single demand, which no count tells."""
    request.struct_size = ctypes.sizeof(NewRequest)
    if demands:
        request.devices = (Asked * len(demands))(*(Asked(*demand) for demand in demands))
        request.n_devices = len(demands)
    if len(demands) == 1 and not counts_one:
        request.struct_size, request.n_devices = NewRequest.n_devices.offset, 0xBAD


def ask(policy, vector, demands, counts_one=True):
    request = NewRequest(policy=policy, vector=amounts(vector))
    set_demands(request, demands, counts_one)
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


def missing(devices, demands):
    return sum(max(0, asked[0] - len(usable_ones(devices, asked))) for asked in demands)


def tightest(devices, demands):
    """For each demand its devices; no two demands name the same model."""
    return [sorted(sorted(usable_ones(devices, asked), key=lambda i: (devices[i][2], i))[:asked[0]])
            for asked in demands]


def mask_of(chosen):
    """The devices of all demands."""
    return sum(1 << i for its in chosen for i in its)


def booked(devices, demands, chosen):
    for (_, slices, _), its in zip(demands, chosen):
        devices = moved(devices, slices, its, -1)
    return devices


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


def placed(host, vector, demands, typical):
    """The score of fragmentation and the devices it takes."""
    after = tuple(a - v for a, v in zip(host.available, vector))
    if len(demands) == 1 and demands[0][0] == 1:
        options = [[[i]] for i in usable_ones(host.devices, demands[0])]
    else:
        options = [tightest(host.devices, demands)]
    ranked = [(fragments_of(typical, after, booked(host.devices, demands, chosen)),
               [host.devices[i][2] for its in chosen for i in its], chosen) for chosen in options]
    fragments, _, chosen = min(ranked)
    increase = fragments - fragments_of(typical, host.available, host.devices)
    weight = sum(w for _, _, w in typical)
    return float(math.ceil(Fraction(25 * increase, PARTS * weight))), chosen


def verdict(host, policy, vector, demands, typical):
    """Reason, missing, score."""
    for d in range(N_DIMS):
        if vector[d] > 0 and host.capacity[d] == 0:
            return LACKS, vector[d] - host.available[d], 0.0
    for d in range(N_DIMS):
        if vector[d] > host.available[d] and vector[d] > 0:
            return SHORT, vector[d] - host.available[d], 0.0
    if missing(host.devices, demands) > 0:
        return DEVICE, missing(host.devices, demands), 0.0
    if policy == FRAGMENTATION:
        return CANDIDATE, 0, placed(host, vector, demands, typical)[0]
    return CANDIDATE, 0, score_of(policy, vector, host.available, host.capacity)


def check_answer(fleet, hosts, policy, vector, demands, typical, counts_one=True):
    """Holds find, explain and the devices chosen against the model; answers with host and devices."""
    request = ask(policy, vector, demands, counts_one)
    expected = {n: verdict(h, policy, vector, demands, typical) for n, h in hosts.items()}
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
    if policy == FRAGMENTATION:
        chosen = placed(hosts[best], vector, demands, typical)[1]
    else:
        chosen = tightest(hosts[best].devices, demands)
    assert decision.devices == mask_of(chosen)
    return best, chosen


capacities = st.sampled_from([1, 2, 7, 10, 10, 1000, MAX_SLICES])
device = st.tuples(st.integers(0, 3), capacities, st.none() | st.integers(0, 1000)).map(
    lambda d: (d[0], d[1], d[1] if d[2] is None else min(d[1], d[2] * d[1] // 1000)))
slices = st.just(WHOLE) | st.integers(1, 10) | st.sampled_from([500, 1000])
asked = st.tuples(st.integers(1, 3), slices, st.just(ANY) | st.integers(1, 15))
vector = st.tuples(st.integers(0, 10), st.integers(0, 10))


@st.composite
def demands_of(draw):
    """None, one of any models, or several that share the models among them; one may be left a model that no device
    is of."""
    n = draw(st.sampled_from([0, 1, 1, 1, 2, 2, 3]))
    if n == 1:
        return [draw(asked)]
    models = [1 << 10 + i if draw(st.integers(0, 9)) == 0 else 0 for i in range(n)]
    for model in range(4 if n > 0 else 0):
        models[draw(st.integers(0, n - 1))] |= 1 << model
    return [(draw(st.integers(1, 2)), draw(slices), its or 1 << 20 + i) for i, its in enumerate(models)]


demands = demands_of()
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
@given(st.dictionaries(st.integers(0, 70), host, min_size=1, max_size=6), policy, vector.filter(any), demands,
       typical, st.booleans())
def test_decision_reasons_and_devices_are_the_documented_ones(hosts, policy, vector, demands, typical, counts_one):
    fleet = build(hosts, typical)
    check_answer(fleet, hosts, policy, vector, demands, typical, counts_one)
    weight = sum(w for _, _, w in typical)
    for number, h in hosts.items():
        assert fleet.fragments(number) == float(fragments_of(typical, h.available, h.devices)) / float(PARTS * weight)
        chosen = u64(77)
        want = demands or [(1, 1, ANY)]
        result = fleet.call("choose_devices", ask(0, vector, want, counts_one), number, chosen)
        if missing(h.devices, want) > 0:
            assert (result, chosen.value) == (NO_HOST, 77)
        else:
            assert (result, chosen.value) == (OK, mask_of(tightest(h.devices, want)))
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
    result, _ = fleet.find_devices(ask(0, (1, 1), [(n, slices, models)]))
    if not 1 <= n <= 64 or models == 0:
        assert result == ARGUMENT
    elif slices == 0 or MAX_SLICES < slices < WHOLE:
        assert result == AMOUNT
    else:
        fits = n == 1 and models & 1 and (slices <= 10 or slices == WHOLE)
        assert result == (OK if fits else NO_HOST)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from([1, 1, 1, 1, 2, 0]), slices, st.sampled_from([1, 2, 4, 1, 2, 4, 3, 6, 0])),
                min_size=2, max_size=3))
def test_no_two_demands_name_a_model(demands):
    fleet = build({0: Model((9, 9), [(0, 10, 10), (1, 10, 10), (2, 10, 10)])}, [((1, 1), None, 1)])
    result, _ = fleet.find_devices(ask(0, (1, 1), demands))
    models = [its for _, _, its in demands]
    if any(n == 0 or its == 0 for n, _, its in demands) or sum(models) != models[0] | models[1] | models[-1]:
        assert result == ARGUMENT
    else:
        fits = missing([(0, 10, 10), (1, 10, 10), (2, 10, 10)], demands) == 0
        assert result == (OK if fits else NO_HOST)
    lost = ask(0, (1, 1), demands)
    lost.devices = None  # a count of nothing
    assert fleet.find_devices(lost)[0] == ARGUMENT


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
    """VMs with devices come and go next to a model of it; questions of what would be leave no trace. What a device
    has left is what it had at first less the slices of each VM that is on it."""

    taken = Bundle("taken")

    @initialize(hosts=st.lists(host, min_size=1, max_size=4), typical=typical)
    def start(self, hosts, typical):
        self.hosts = dict(enumerate(hosts))
        self.first = {number: (h.available, list(h.devices)) for number, h in self.hosts.items()}
        self.vms = {}  # by number: host, vector, demands, the devices of each
        self.typical = typical
        self.fleet = build(self.hosts, typical)

    def count(self):
        """The hosts anew from what they had and who is there."""
        for number, h in self.hosts.items():
            available, devices = self.first[number]
            left = [free for _, _, free in devices]
            for on, vector, demands, chosen in self.vms.values():
                if on == number:
                    available = tuple(a - v for a, v in zip(available, vector))
                    for (_, slices, _), its in zip(demands, chosen):
                        for i in its:
                            left[i] -= devices[i][1] if slices == WHOLE else slices
            h.available = available
            h.devices = [(m, c, free) for (m, c, _), free in zip(devices, left)]

    @rule(target=taken, policy=policy, vector=vector.filter(any), demands=demands)
    def place(self, policy, vector, demands):
        answer = check_answer(self.fleet, self.hosts, policy, vector, demands, self.typical)
        if answer is None:
            return None
        number, chosen = answer
        assert self.fleet.call("take", number, amounts(vector)) == OK
        for asked, its in zip(demands, chosen):
            # As many devices as it says, all different, each of which does by itself: nothing straddles two.
            assert len(set(its)) == asked[0]
            assert all(usable(self.hosts[number].devices[i], asked) for i in its)
            assert self.fleet.call("take_devices", number, asked[1], mask_of([its])) == OK
        vm = max(self.vms, default=0) + 1
        self.vms[vm] = (number, vector, demands, chosen)
        self.count()
        assert all(0 <= free <= c for h in self.hosts.values() for _, c, free in h.devices)
        return vm

    @rule(vm=consumes(taken))
    def remove(self, vm):
        if vm is not None:
            number, vector, demands, chosen = self.vms.pop(vm)
            assert self.fleet.call("give", number, amounts(vector)) == OK
            for (_, slices, _), its in zip(demands, chosen):
                assert self.fleet.call("give_devices", number, slices, mask_of([its])) == OK
            self.count()

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
