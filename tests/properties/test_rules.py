"""The rules of libberth-place against a second implementation in Python.

Random fleets with a tree of places, labels, groups and rules of every kind, hard and soft; VMs come and go. For
each request the verdict on every host, the choice, and the smallest set of causes that contradict each other are
computed here a second time, from the words of place/rules.h and without any index.

    BERTH_PLACE_LIBRARY=build/src/place/libberth-place.so python3 -m pytest tests/properties/test_rules.py

BERTH_RULES_FLEETS=n plays more fleets than the few hundred of an ordinary run.
"""

import ctypes
import itertools
import os
import random

from hypothesis import given, settings, strategies as st

from test_place import (
    CANDIDATE,
    CHOSEN,
    DISABLED,
    LACKS,
    NO_HOST,
    OK,
    PREFERS_HIGH,
    SHORT,
    Decision,
    ExplainFunc,
    Fleet,
    amounts,
    library,
    make_request,
    score_of,
)

BUSY, TREE, UNDERFLOW, CONTRADICTION, CYCLE = -9, -10, -11, -12, -13
EXISTS = -4
LABEL, RULE = 7, 8
TOGETHER, APART, ALONE, SPREAD, NEAR, SOLE = range(6)
NONE = 2**32 - 1
FLEETS = int(os.environ.get("BERTH_RULES_FLEETS", "300"))
N_LEVELS = 3


class Rule(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint32)
        for name in ("struct_size", "kind", "a", "b", "level", "skew", "weight")
    ]


class Cause(ctypes.Structure):
    _fields_ = [("reason", ctypes.c_int)] + [
        (name, ctypes.c_uint32) for name in ("dim", "label", "rule", "hosts")
    ]


for name in (
    "set_levels", "set_domains", "set_label", "enter", "leave", "rule_add", "rule_remove", "conflict",
):  # fmt: skip
    getattr(library, "berth_place_" + name).restype = ctypes.c_int
library.berth_place_set_levels.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
library.berth_place_set_label.argtypes = (
    ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_bool,
)  # fmt: skip
for name in ("set_domains", "enter", "leave", "rule_add", "rule_remove", "conflict"):
    getattr(library, "berth_place_" + name).argtypes = None


def numbers(values):
    return (ctypes.c_uint32 * max(len(values), 1))(*values)


class Model:
    """A fleet with its rules, in plain Python."""

    new_fleet = Fleet

    def __init__(self, rng, most_hosts=9):
        self.rng = rng
        self.hosts = {}  # number: dict of order, capacity, available, enabled, domains, labels
        self.vms = []  # (host, groups)
        self.rules = {}  # number: dict, in the order of their adding
        self.fleet = self.new_fleet(2)
        assert self.fleet.call("set_levels", N_LEVELS) == OK
        for number in range(rng.randint(1, most_hosts)):
            self.add_host(number)

    def add_host(self, number):
        rng = self.rng
        capacity = [rng.choice((8, 16)), rng.choice((0, 8, 8))]
        rack = rng.choice((0, 1, 2, 3, NONE))
        zone = NONE if rack == NONE else rack // 2
        host = {
            "order": rng.randint(0, 2), "capacity": capacity, "enabled": rng.random() < 0.9,
            "available": [rng.randint(c // 2, c) for c in capacity], "domains": [number, rack, zone],
            "labels": {label for label in range(2) if rng.random() < 0.7},
        }  # fmt: skip
        self.hosts[number] = host
        call = self.fleet.call
        assert call("add", number, host["order"], amounts(capacity), amounts(host["available"])) == OK
        assert call("set_domains", number, numbers(host["domains"][1:])) == OK
        assert call("set_enabled", number, host["enabled"]) == OK
        for label in host["labels"]:
            assert call("set_label", number, label, True) == OK

    def add_rule(self, number):
        rng = self.rng
        kind = rng.choice((TOGETHER, APART, APART, ALONE, SPREAD, NEAR, SOLE))
        rule = {
            "kind": kind, "a": rng.randint(0, 3), "b": rng.randint(0, 3),
            "level": 0 if kind == NEAR else rng.randint(0, N_LEVELS - 1),
            "skew": rng.randint(1, 2) if kind == SPREAD else 0,
            "weight": rng.randint(1, 3) if kind == NEAR or rng.random() < 0.4 else 0,
        }  # fmt: skip
        if kind in (ALONE, SPREAD):
            rule["b"] = 0
        other = ctypes.c_uint32(NONE)
        c_rule = Rule(ctypes.sizeof(Rule), *rule.values())
        result = self.fleet.call("rule_add", number, ctypes.byref(c_rule), ctypes.byref(other))
        assert result == self.expected_of_adding(rule), (rule, self.rules)
        if result == OK:
            self.rules[number] = rule
        else:
            assert other.value in self.rules and self.rules[other.value]["weight"] == 0

    def reaches(self, start, end, level, rules):
        seen, todo = set(), [start]
        while todo:
            at = todo.pop()
            for rule in rules:
                if (
                    rule["kind"] == TOGETHER and rule["weight"] == 0 and rule["a"] == at
                    and rule["b"] != at and rule["level"] <= level and rule["b"] not in seen
                ):  # fmt: skip
                    seen.add(rule["b"])
                    todo.append(rule["b"])
        return end in seen

    def expected_of_adding(self, rule):
        if rule["weight"] > 0:
            return OK
        rules = [r for r in self.rules.values() if r["weight"] == 0]
        if rule["kind"] == TOGETHER and rule["a"] != rule["b"] and self.reaches(rule["b"], rule["a"], 9, rules):
            return CYCLE
        rules.append(rule)
        for r in rules:
            a, b, level = r["a"], r["b"], r["level"]
            if r["kind"] == APART and a != b:
                if self.reaches(a, b, level, rules) or self.reaches(b, a, level, rules):
                    return CONTRADICTION
            if r["kind"] == APART and a == b and any(
                t["kind"] == TOGETHER and t["a"] == t["b"] == a and t["level"] <= level for t in rules
            ):
                return CONTRADICTION
            if r["kind"] == ALONE and any(
                t["kind"] == TOGETHER and t["a"] != t["b"] and a in (t["a"], t["b"]) and t["level"] <= level
                for t in rules
            ):
                return CONTRADICTION
        return OK

    def count(self, group, level, domain):
        return sum(
            1 for host, groups in self.vms
            if group in groups and self.hosts[host]["domains"][level] == domain
        )  # fmt: skip

    def distance(self, one, other):
        for level in range(N_LEVELS):
            if self.hosts[one]["domains"][level] == self.hosts[other]["domains"][level] != NONE:
                return level
        return N_LEVELS

    def broken(self, rule, groups, number):
        """How often a rule is broken when a VM with these groups comes to a host: 0 or 1, of NEAR the distance."""
        kind, a, b, level = rule["kind"], rule["a"], rule["b"], rule["level"]
        domain = self.hosts[number]["domains"][level]
        a_is_there, b_is_there = (any(g in vm[1] for vm in self.vms) for g in (a, b))
        if kind == TOGETHER:
            if a not in groups and b not in groups:
                return 0
            if b_is_there:
                wanted = b if a in groups else None
            else:
                wanted = a if a_is_there else None
            return int(wanted is not None and (domain == NONE or self.count(wanted, level, domain) == 0))
        if kind == NEAR:
            if a not in groups or not b_is_there:
                return 0
            return min(self.distance(number, host) for host, its in self.vms if b in its)
        if kind == SOLE:
            return int(a in groups and domain != NONE and self.count(b, level, domain) > self.count(a, level, domain))
        if kind == SPREAD:
            if a not in groups:
                return 0
            if domain == NONE:
                return 1
            eligible = {h["domains"][level] for h in self.hosts.values() if h["enabled"]} - {NONE}
            fewest = min((self.count(a, level, d) for d in eligible), default=0)
            return int(self.count(a, level, domain) + 1 - fewest > rule["skew"])
        if domain == NONE:
            return 0
        if kind == APART:
            return int(
                (a in groups and self.count(b, level, domain) > 0)
                or (b in groups and self.count(a, level, domain) > 0)
            )
        others = sum(
            1 for host, its in self.vms
            if self.hosts[host]["domains"][level] == domain and (a in its) != (a in groups)
        )  # fmt: skip
        return int(others > 0)

    def verdict(self, policy, vector, groups, labels, number):
        """(reason, dim or label or set of rules, penalty, score)."""
        host = self.hosts[number]
        if not host["enabled"]:
            return DISABLED, 0, 0, 0.0
        for label in labels:
            if label not in host["labels"]:
                return LABEL, label, 0, 0.0
        for reason, short in ((LACKS, lambda d: host["capacity"][d] == 0),
                              (SHORT, lambda d: vector[d] > host["available"][d])):  # fmt: skip
            for d in range(2):
                if vector[d] > 0 and short(d):
                    return reason, d, 0, 0.0
        hard = {n for n, r in self.rules.items() if r["weight"] == 0 and self.broken(r, groups, number)}
        if hard:
            return RULE, hard, 0, 0.0
        penalty = sum(r["weight"] * self.broken(r, groups, number) for r in self.rules.values())
        return CANDIDATE, 0, penalty, score_of(policy, vector, host["available"], host["capacity"])

    def causes(self, vector, groups, labels, number):
        """Everything that stands against a host."""
        host = self.hosts[number]
        found = set() if host["enabled"] else {(DISABLED, 0)}
        found |= {(LABEL, label) for label in labels if label not in host["labels"]}
        for d in range(2):
            if vector[d] > 0 and vector[d] > host["available"][d]:
                found.add((LACKS if host["capacity"][d] == 0 else SHORT, d))
        for n, rule in self.rules.items():
            if rule["weight"] == 0 and self.broken(rule, groups, number):
                if rule["kind"] == ALONE and rule["a"] not in groups:
                    found.add((RULE, ("alone", rule["level"])))
                else:
                    found.add((RULE, n))
        return found

    def ask(self):
        rng = self.rng
        policy = rng.randint(0, 7)
        vector = [rng.randint(0, 4), rng.randint(0, 3)]
        vector[0] += not any(vector)
        groups = sorted(rng.sample(range(4), rng.randint(0, 2)))
        labels = sorted(rng.sample(range(2), rng.choice((0, 0, 1))))
        request = make_request(policy, vector)
        request.n_groups, request.groups = len(groups), numbers(groups)
        request.n_labels, request.labels = len(labels), numbers(labels)
        self.check_verdicts(request, policy, vector, groups, labels)
        decision = Decision(ctypes.sizeof(Decision), NONE)
        if self.fleet.call("find", request, decision) == OK:
            return decision.host, vector, groups
        self.check_conflict(request, vector, groups, labels)
        return None

    def check_verdicts(self, request, policy, vector, groups, labels):
        expected = {n: self.verdict(policy, vector, groups, labels, n) for n in self.hosts}
        sign = -1 if policy in PREFERS_HIGH else 1
        best = min(
            (n for n in expected if expected[n][0] == CANDIDATE),
            key=lambda n: (expected[n][2], sign * expected[n][3], self.hosts[n]["order"], n),
            default=None,
        )
        seen = {}

        def collect(pointer, _):
            v = pointer.contents
            detail = {LABEL: v.label, RULE: v.rule}.get(v.reason, v.dim)
            seen[v.host] = (v.reason, detail, v.penalty, v.score)
            return True

        result = self.fleet.call("explain", request, ExplainFunc(collect), None)
        decision = Decision(ctypes.sizeof(Decision), NONE)
        assert self.fleet.call("find", request, decision) == result
        assert result == (NO_HOST if best is None else OK)
        assert decision.host == (NONE if best is None else best)
        if best is not None:
            assert (decision.penalty, decision.score) == expected[best][2:]
            expected[best] = (CHOSEN,) + expected[best][1:]
        for number, verdict in expected.items():
            if verdict[0] == RULE:
                assert seen[number][0] == RULE and seen[number][1] in verdict[1]
            else:
                assert seen[number] == verdict, (number, self.rules, self.vms)

    def check_conflict(self, request, vector, groups, labels):
        found, n = (Cause * 8)(), ctypes.c_uint32(99)
        assert self.fleet.call("conflict", ctypes.byref(request), found, ctypes.byref(n)) == OK
        sets = [self.causes(vector, groups, labels, number) for number in self.hosts]
        everything = set().union(*sets)
        smallest = next(
            size for size in range(1, len(everything) + 1)
            if any(all(s & set(some) for s in sets) for some in itertools.combinations(everything, size))
        )  # fmt: skip
        assert n.value == smallest
        told = set()
        for cause in found[: n.value]:
            detail = {LABEL: cause.label, RULE: cause.rule}.get(cause.reason, cause.dim)
            rule = self.rules.get(detail) if cause.reason == RULE else None
            if rule and rule["kind"] == ALONE and rule["a"] not in groups:
                detail = ("alone", rule["level"])
            told.add((cause.reason, detail))
        assert all(s & told for s in sets)
        for cause in found[: n.value]:
            if cause.reason != RULE:
                detail = cause.label if cause.reason == LABEL else cause.dim
                assert cause.hosts == sum(s & told == {(cause.reason, detail)} for s in sets)
            assert cause.hosts > 0  # each is needed

    def place_one(self):
        chosen = self.ask()
        if chosen is not None:
            host, vector, groups = chosen
            assert self.fleet.call("take", host, amounts(vector)) == OK
            assert self.fleet.call("enter", host, numbers(groups), len(groups)) == OK
            self.hosts[host]["available"] = [
                a - v for a, v in zip(self.hosts[host]["available"], vector)
            ]
            self.vms.append((host, groups))

    def remove_one(self):
        if self.vms:
            host, groups = self.vms.pop(self.rng.randrange(len(self.vms)))
            assert self.fleet.call("leave", host, numbers(groups), len(groups)) == OK
            if not any(vm[0] == host for vm in self.vms):
                assert self.fleet.call("leave", host, numbers(groups), len(groups)) == UNDERFLOW

    def change_one(self):
        number = self.rng.choice(list(self.hosts))
        if self.rng.random() < 0.5:
            enabled = not self.hosts[number]["enabled"]
            self.hosts[number]["enabled"] = enabled
            assert self.fleet.call("set_enabled", number, enabled) == OK
        elif any(vm[0] == number for vm in self.vms):
            assert self.fleet.call("remove", number) == BUSY
            assert self.fleet.call("set_domains", number, numbers([0, 0])) == BUSY
        else:
            assert self.fleet.call("remove", number) == OK
            del self.hosts[number]
            self.add_host(number)

    def change_rule(self):
        if self.rules and self.rng.random() < 0.4:
            number = self.rng.choice(list(self.rules))
            del self.rules[number]
            assert self.fleet.call("rule_remove", number) == OK
        free = next(n for n in itertools.count() if n not in self.rules)
        self.add_rule(free)

    def use_a_copy(self):
        copy = Fleet.__new__(Fleet)
        copy.n_dims, copy.pointer = 2, ctypes.c_void_p()
        assert self.fleet.call("copy", ctypes.byref(copy.pointer)) == OK
        self.fleet = copy


@settings(max_examples=FLEETS)
@given(seed=st.integers(0, 2**64 - 1))
def test_rules_hold_for_whoever_asks(seed):
    rng = random.Random(seed)
    model = Model(rng)
    steps = (model.place_one,) * 4 + (model.remove_one, model.change_one, model.change_rule)
    for _ in range(4):
        model.change_rule()
    for _ in range(25):
        rng.choice(steps)()
        assert model.fleet.call("check") is None
    model.use_a_copy()
    model.place_one()


def test_a_rack_lies_in_one_zone():
    fleet = Fleet(1)
    assert fleet.call("set_levels", N_LEVELS) == OK
    for number in range(2):
        assert fleet.call("add", number, 0, amounts([1]), None) == OK
    assert fleet.call("set_levels", 2) == BUSY
    assert fleet.call("set_domains", 0, numbers([5, 1])) == OK
    assert fleet.call("set_domains", 1, numbers([5, 2])) == TREE
    assert fleet.call("set_domains", 0, numbers([5, 2])) == OK  # alone in it, it takes it along
    assert fleet.call("set_domains", 1, numbers([5, 2])) == OK
