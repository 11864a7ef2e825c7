"""libberth-place against a second implementation in Python.

Scores are computed here as docs/placement.md words them, in the same order of float operations, and must be
equal bit for bit; exact reasons and amounts come from integers. Run by Meson, or by hand:

    BERTH_PLACE_LIBRARY=build/src/place/libberth-place.so python3 -m pytest tests/properties/test_place.py
"""

import ctypes
import math
import os
from fractions import Fraction

from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

MAX_AMOUNT = 2**43 - 1
OK, NO_HOST = 0, 1
ARGUMENT, AMOUNT, UNKNOWN, EXISTS, OVERDRAW, OVERFILL = -1, -2, -3, -4, -5, -6
MOST_FREE, LEAST_FREE, FIRST_FIT, COSINE, DOT_PRODUCT, L2_DIFF, L2_RATIO, L2_RATIO_SPREAD = range(8)
PREFERS_HIGH = {MOST_FREE, COSINE, DOT_PRODUCT, L2_RATIO}
CHOSEN, CANDIDATE, DISABLED, NOT_ALLOWED, BANNED, LACKS, SHORT = range(7)

settings.register_profile(
    "berth",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("berth")


class Options(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("n_dims", ctypes.c_uint32),
        ("expected_hosts", ctypes.c_uint32),
    ]


class Request(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("policy", ctypes.c_int),
        ("vector", ctypes.POINTER(ctypes.c_int64)),
        ("allowed", ctypes.POINTER(ctypes.c_uint64)),
        ("allowed_words", ctypes.c_uint32),
        ("banned_count", ctypes.c_uint32),
        ("banned", ctypes.POINTER(ctypes.c_uint32)),
        ("n_groups", ctypes.c_uint32),
        ("n_labels", ctypes.c_uint32),
        ("groups", ctypes.POINTER(ctypes.c_uint32)),
        ("labels", ctypes.POINTER(ctypes.c_uint32)),
        ("mix", ctypes.POINTER(ctypes.c_double)),
    ]


class Decision(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_uint32),
        ("host", ctypes.c_uint32),
        ("score", ctypes.c_double),
        ("penalty", ctypes.c_uint64),
    ]


class Verdict(ctypes.Structure):
    _fields_ = [
        ("host", ctypes.c_uint32),
        ("reason", ctypes.c_int),
        ("score", ctypes.c_double),
        ("dim", ctypes.c_uint32),
        ("missing", ctypes.c_int64),
        ("label", ctypes.c_uint32),
        ("rule", ctypes.c_uint32),
        ("penalty", ctypes.c_uint64),
    ]


ExplainFunc = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.POINTER(Verdict), ctypes.c_void_p)


def load():
    library = ctypes.CDLL(os.environ["BERTH_PLACE_LIBRARY"])
    place, amounts, u32 = ctypes.c_void_p, ctypes.POINTER(ctypes.c_int64), ctypes.c_uint32
    signatures = {
        "new": (ctypes.POINTER(Options), ctypes.POINTER(place)),
        "free": (place,),
        "copy": (place, ctypes.POINTER(place)),
        "n_hosts": (place,),
        "add": (place, u32, ctypes.c_uint64, amounts, amounts),
        "remove": (place, u32),
        "set": (place, u32, amounts, amounts),
        "set_enabled": (place, u32, ctypes.c_bool),
        "take": (place, u32, amounts),
        "give": (place, u32, amounts),
        "get": (place, u32, amounts, amounts, ctypes.POINTER(ctypes.c_bool)),
        "find": (place, ctypes.POINTER(Request), ctypes.POINTER(Decision)),
        "explain": (place, ctypes.POINTER(Request), ExplainFunc, ctypes.c_void_p),
        "check": (place,),
    }
    for name, argtypes in signatures.items():
        function = getattr(library, "berth_place_" + name)
        function.argtypes = argtypes
        function.restype = ctypes.c_int
    library.berth_place_n_hosts.restype = u32
    library.berth_place_free.restype = None
    library.berth_place_check.restype = ctypes.c_char_p
    return library


library = load()


def amounts(values):
    return None if values is None else (ctypes.c_int64 * len(values))(*values)


def make_request(policy, vector, allowed=None, banned=()):
    """A Request with its arrays; `allowed` is a set of host numbers or None."""
    request = Request(struct_size=ctypes.sizeof(Request), policy=policy)
    request.vector = amounts(vector)
    if allowed is not None:
        words = [0] * (max(allowed, default=-1) // 64 + 1)
        for host in allowed:
            words[host // 64] |= 1 << host % 64
        request.allowed = (ctypes.c_uint64 * max(len(words), 1))(*words)
        request.allowed_words = len(words)
    request.banned_count = len(banned)
    request.banned = (ctypes.c_uint32 * max(len(banned), 1))(*sorted(banned))
    return request


class Fleet:
    """The library, called as C would."""

    def __init__(self, n_dims):
        self.n_dims = n_dims
        self.pointer = ctypes.c_void_p()
        options = Options(ctypes.sizeof(Options), n_dims, 0)
        assert library.berth_place_new(options, ctypes.byref(self.pointer)) == OK

    def __del__(self):
        library.berth_place_free(self.pointer)

    def call(self, name, *arguments):
        return getattr(library, "berth_place_" + name)(self.pointer, *arguments)

    def available(self, host):
        out = (ctypes.c_int64 * self.n_dims)()
        assert self.call("get", host, None, out, None) == OK
        return tuple(out)

    def find(self, request):
        decision = Decision(ctypes.sizeof(Decision), 0xDEAD, -1)
        result = self.call("find", request, decision)
        if result != OK:
            assert (decision.host, decision.score) == (0xDEAD, -1)
            return result, None, None
        return result, decision.host, decision.score

    def explain(self, request):
        verdicts = []

        def collect(verdict, _):
            v = verdict.contents
            verdicts.append((v.host, v.reason, v.score, v.dim, v.missing))
            return True

        result = self.call("explain", request, ExplainFunc(collect), None)
        return result, verdicts


class Host:
    def __init__(self, order, capacity, available=None):
        self.order = order
        self.capacity = tuple(capacity)
        self.available = tuple(capacity if available is None else available)
        self.enabled = True


def score_of(policy, r, a, c):
    """docs/placement.md, word for word."""
    dims = [d for d in range(len(c)) if c[d] > 0]
    total = 0.0
    if policy in (MOST_FREE, LEAST_FREE):
        for d in dims:
            total += float(a[d] - r[d]) / float(c[d])
        return total / float(len(dims))
    if policy == FIRST_FIT:
        return 0.0
    if policy in (L2_RATIO, L2_RATIO_SPREAD):
        for d in dims:
            if r[d] > 0:
                total += float(r[d]) / float(a[d])
        return total
    p = {d: float(r[d]) / float(c[d]) for d in dims}
    q = {d: float(a[d]) / float(c[d]) for d in dims}
    if policy == L2_DIFF:
        for d in dims:
            total += (p[d] - q[d]) * (p[d] - q[d])
        return total
    for d in dims:
        total += p[d] * q[d]
    if policy == DOT_PRODUCT:
        return total
    rr = aa = 0.0
    for d in dims:
        rr += p[d] * p[d]
        aa += q[d] * q[d]
    return total / (math.sqrt(rr) * math.sqrt(aa))


def exact_score(policy, r, a, c):
    """The same in fractions, without any rounding; not for cosine, which takes a root."""
    dims = [d for d in range(len(c)) if c[d] > 0]
    p = {d: Fraction(r[d], c[d]) for d in dims}
    q = {d: Fraction(a[d], c[d]) for d in dims}
    if policy in (MOST_FREE, LEAST_FREE):
        return sum(q[d] - p[d] for d in dims) / len(dims)
    if policy in (L2_RATIO, L2_RATIO_SPREAD):
        return sum(Fraction(r[d], a[d]) for d in dims if r[d] > 0)
    if policy == L2_DIFF:
        return sum((p[d] - q[d]) ** 2 for d in dims)
    return sum(p[d] * q[d] for d in dims) if policy == DOT_PRODUCT else Fraction(0)


def verdict_of(number, host, policy, vector, allowed, banned):
    if not host.enabled:
        return (number, DISABLED, 0.0, 0, 0)
    if allowed is not None and number not in allowed:
        return (number, NOT_ALLOWED, 0.0, 0, 0)
    if number in banned:
        return (number, BANNED, 0.0, 0, 0)
    asked = [d for d, amount in enumerate(vector) if amount > 0]
    missing = {d: vector[d] - host.available[d] for d in asked}
    for d in asked:
        if host.capacity[d] == 0:
            return (number, LACKS, 0.0, d, missing[d])
    for d in asked:
        if missing[d] > 0:
            return (number, SHORT, 0.0, d, missing[d])
    return (number, CANDIDATE, score_of(policy, vector, host.available, host.capacity), 0, 0)


def expected_answer(hosts, policy, vector, allowed, banned):
    """The result, the chosen host or None, and all verdicts."""
    verdicts = [
        verdict_of(number, hosts[number], policy, vector, allowed, banned)
        for number in sorted(hosts)
    ]
    sign = -1 if policy in PREFERS_HIGH else 1
    candidates = [v for v in verdicts if v[1] == CANDIDATE]
    if not candidates:
        return NO_HOST, None, verdicts
    best = min(candidates, key=lambda v: (sign * v[2], hosts[v[0]].order, v[0]))
    chosen = [(v[0], CHOSEN) + v[2:] if v is best else v for v in verdicts]
    return OK, best, chosen


def assert_same_answer(fleet, hosts, policy, vector, allowed, banned):
    request = make_request(policy, vector, allowed, banned)
    result, best, verdicts = expected_answer(hosts, policy, vector, allowed, banned)

    assert fleet.find(request) == (result, *((best[0], best[2]) if best else (None, None)))
    assert fleet.explain(request) == (result, verdicts)


host_number = st.one_of(st.integers(0, 9), st.integers(0, 300))
policy = st.integers(0, 7)


def vectors(n_dims, low, high):
    return st.lists(st.integers(low, high), min_size=n_dims, max_size=n_dims)


@st.composite
def hosts_of(draw, shapes):
    capacity = draw(st.sampled_from(shapes))
    kind = draw(st.integers(0, 9))
    if kind < 4:
        available = list(capacity)
    else:
        available = [draw(st.integers(c // 2, c)) for c in capacity]
    if kind == 9:
        dim = draw(st.integers(0, len(capacity) - 1))
        available[dim] = draw(st.integers(-capacity[dim], capacity[dim] // 2))
    host = Host(draw(st.integers(0, 2)), capacity, available)
    host.enabled = draw(st.integers(0, 9)) > 0
    return host


@st.composite
def questions(draw):
    """A fleet of few shapes and a request that fits several hosts as a rule, and at times one exactly.

    Small amounts collide, which tests ties and exact fits; large ones test rounding."""
    n_dims = draw(st.one_of(st.integers(1, 4), st.integers(1, 16)))
    limit = draw(st.sampled_from([3, 10, 1000, MAX_AMOUNT]))
    low = draw(st.sampled_from([0, limit // 2]))
    shapes = draw(st.lists(vectors(n_dims, low, limit), min_size=1, max_size=3))
    hosts = draw(st.dictionaries(host_number, hosts_of(shapes), min_size=0, max_size=8))
    if hosts and draw(st.booleans()):
        like = hosts[draw(st.sampled_from(sorted(hosts)))].available
        divisor = draw(st.sampled_from([1, 2, 3, 10]))
        vector = [max(a, 0) // divisor for a in like]
    else:
        vector = draw(vectors(n_dims, 0, limit // draw(st.sampled_from([1, 3, 10]))))
    allowed = None
    if draw(st.integers(0, 4)) == 0:
        allowed = draw(st.sets(host_number, max_size=8))
        allowed |= {n for n in hosts if draw(st.booleans())}
    banned = draw(st.sets(host_number, max_size=2))
    return n_dims, hosts, vector, allowed, banned


def build(n_dims, hosts):
    fleet = Fleet(n_dims)
    for number, host in hosts.items():
        arrays = amounts(host.capacity), amounts(host.available)
        assert fleet.call("add", number, host.order, *arrays) == OK
        assert fleet.call("set_enabled", number, host.enabled) == OK
    return fleet


@settings(max_examples=2000)
@given(questions(), policy)
def test_decision_and_reasons_are_the_documented_ones(question, policy):
    n_dims, hosts, vector, allowed, banned = question
    fleet = build(n_dims, hosts)
    if not any(vector):
        assert fleet.find(make_request(policy, vector, allowed, banned))[0] == AMOUNT
        return
    assert_same_answer(fleet, hosts, policy, vector, allowed, banned)
    assert {n: fleet.available(n) for n in hosts} == {n: h.available for n, h in hosts.items()}
    assert fleet.call("check") is None


@settings(max_examples=400)
@given(questions(), policy)
def test_scores_are_near_their_exact_value(question, policy):
    """The order of operations loses at most a few bits: 2^-48 of the largest possible sum of terms."""
    n_dims, hosts, vector, _, _ = question
    if not any(vector):
        return
    _, verdicts = build(n_dims, hosts).explain(make_request(policy, vector))
    for number, reason, score, _, _ in verdicts:
        available, capacity = hosts[number].available, hosts[number].capacity
        if reason not in (CHOSEN, CANDIDATE) or policy == COSINE:
            continue
        shares = [Fraction(abs(a), c) for a, c in zip(available, capacity) if c > 0]
        largest_sum = n_dims * max(1, *shares) ** 2
        error = abs(Fraction(score) - exact_score(policy, vector, available, capacity))
        assert error <= largest_sum * Fraction(1, 2**48)


@settings(max_examples=300)
@given(questions(), policy, st.integers(1, 1000))
def test_the_unit_of_a_dimension_does_not_matter(question, policy, factor):
    """Feasibility is the same when every amount of a dimension is counted in a smaller unit."""
    n_dims, hosts, vector, allowed, banned = question

    def scale(values):
        return [v * factor for v in values]

    whole = [v for h in hosts.values() for v in h.capacity + h.available] + list(vector)
    if not any(vector) or any(abs(v) * factor > MAX_AMOUNT for v in whole):
        return
    larger = {n: Host(h.order, scale(h.capacity), scale(h.available)) for n, h in hosts.items()}
    for number, host in hosts.items():
        larger[number].enabled = host.enabled
    _, before = build(n_dims, hosts).explain(make_request(policy, vector, allowed, banned))
    _, after = build(n_dims, larger).explain(make_request(policy, scale(vector), allowed, banned))

    def against(verdicts, unit):
        return [(v[0], max(v[1], CANDIDATE), v[3], v[4] * unit) for v in verdicts]

    assert against(before, factor) == against(after, 1)


class FleetMachine(RuleBasedStateMachine):
    """A fleet's life next to a dictionary of it."""

    N_DIMS = 3
    small = st.lists(st.integers(-1, 8), min_size=N_DIMS, max_size=N_DIMS)
    taken = Bundle("taken")

    @initialize()
    def start(self):
        self.fleet = Fleet(self.N_DIMS)
        self.hosts = {}

    @rule(number=host_number, order=st.integers(0, 3), capacity=small)
    def add(self, number, order, capacity):
        result = self.fleet.call("add", number, order, amounts(capacity), None)
        if number in self.hosts:
            assert result == EXISTS
        elif min(capacity) < 0:
            assert result == AMOUNT
        else:
            assert result == OK
            self.hosts[number] = Host(order, capacity)

    @rule(data=st.data())
    def remove(self, data):
        number = data.draw(st.sampled_from(sorted(self.hosts) + [999]))
        known = self.hosts.pop(number, None) is not None
        assert self.fleet.call("remove", number) == (OK if known else UNKNOWN)

    @rule(data=st.data(), enabled=st.booleans())
    def enable(self, data, enabled):
        number = data.draw(st.sampled_from(sorted(self.hosts) + [999]))
        if number in self.hosts:
            self.hosts[number].enabled = enabled
        result = self.fleet.call("set_enabled", number, enabled)
        assert result == (OK if number in self.hosts else UNKNOWN)

    @rule(data=st.data(), capacity=st.none() | small, available=small)
    def change(self, data, capacity, available):
        number = data.draw(st.sampled_from(sorted(self.hosts) + [999]))
        result = self.fleet.call("set", number, amounts(capacity), amounts(available))
        if number not in self.hosts:
            assert result == UNKNOWN
            return
        host = self.hosts[number]
        whole = host.capacity if capacity is None else tuple(capacity)
        if min(whole) < 0 or any(a > c for a, c in zip(available, whole)):
            assert result == AMOUNT
            return
        assert result == OK
        host.capacity, host.available = whole, tuple(available)

    @rule(data=st.data(), vector=small)
    def give_unasked(self, data, vector):
        number = data.draw(st.sampled_from(sorted(self.hosts) + [999]))
        if min(vector) < 0:
            expected = AMOUNT if number in self.hosts else UNKNOWN
            assert self.fleet.call("give", number, amounts(vector)) == expected
        else:
            self.give_back(number, vector)

    @rule(target=taken, vector=small, policy=policy, banned=st.sets(host_number, max_size=2))
    def place(self, vector, policy, banned):
        """Decides, and books what was decided."""
        request = make_request(policy, vector, None, banned)
        if min(vector) < 0 or not any(vector):
            assert self.fleet.find(request)[0] == AMOUNT
            return None
        assert_same_answer(self.fleet, self.hosts, policy, vector, None, banned)
        result, number, _ = self.fleet.find(request)
        if result != OK:
            return None
        assert self.fleet.call("take", number, amounts(vector)) == OK
        host = self.hosts[number]
        host.available = tuple(a - v for a, v in zip(host.available, vector))
        return number, vector

    @rule(data=st.data(), vector=small)
    def take_unasked(self, data, vector):
        number = data.draw(st.sampled_from(sorted(self.hosts) + [999]))
        result = self.fleet.call("take", number, amounts(vector))
        if number not in self.hosts:
            assert result == UNKNOWN
            return
        host = self.hosts[number]
        if min(vector) < 0:
            assert result == AMOUNT
        elif any(v > max(a, 0) for v, a in zip(vector, host.available)):
            assert result == OVERDRAW
        else:
            assert result == OK
            host.available = tuple(a - v for a, v in zip(host.available, vector))

    @rule(placed=consumes(taken))
    def give(self, placed):
        """What was placed goes back, unless its host has left or was filled up meanwhile."""
        if placed is not None:
            self.give_back(*placed)

    def give_back(self, number, vector):
        result = self.fleet.call("give", number, amounts(vector))
        if number not in self.hosts:
            assert result == UNKNOWN
            return
        host = self.hosts[number]
        after = tuple(a + v for a, v in zip(host.available, vector))
        if any(a > c for a, c in zip(after, host.capacity)):
            assert result == OVERFILL
            return
        assert result == OK
        host.available = after

    @rule(vector=small, policy=policy)
    def ask_a_copy(self, vector, policy):
        """A what-if leaves the live fleet as it is."""
        copy = Fleet.__new__(Fleet)
        copy.n_dims, copy.pointer = self.N_DIMS, ctypes.c_void_p()
        assert self.fleet.call("copy", ctypes.byref(copy.pointer)) == OK
        for number in self.hosts:
            assert copy.call("set", number, None, amounts([0] * self.N_DIMS)) == OK
        if min(vector) >= 0 and any(vector):
            assert copy.find(make_request(policy, vector))[0] == NO_HOST

    @invariant()
    def the_fleet_is_the_model(self):
        if not hasattr(self, "fleet"):
            return
        assert self.fleet.call("check") is None
        assert self.fleet.call("n_hosts") == len(self.hosts)
        for number, host in self.hosts.items():
            assert self.fleet.available(number) == host.available


TestFleetMachine = FleetMachine.TestCase
TestFleetMachine.settings = settings(max_examples=120, stateful_step_count=40)
