"""A fleet's life as a manager leads it, next to a model of it in Python.

VMs with amounts, groups and devices are placed, resized, moved and removed; hosts are drained move by move, fail, and
come back. A VM that moves counts at both ends until the move is over. What a host has left is counted anew after each
step from what it had at first and the VMs on it: it must be what the library says, and never less than nothing.

    BERTH_PLACE_LIBRARY=build/src/place/libberth-place.so python3 -m pytest tests/properties/test_life.py
"""

import ctypes
import random

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from test_devices import (
    ANY, DEVICE, WHOLE, DeviceFleet, as_new, ask, booked, mask_of, missing, tightest,
)
from test_place import ARGUMENT, CANDIDATE, NO_HOST, OK, OVERDRAW, amounts
from test_rules import BUSY, RULE, Model, Rule, numbers


class Vm:
    def __init__(self, vector, groups, demands):
        self.vector, self.groups, self.demands = list(vector), groups, demands
        self.ends = {}  # host: the devices there for each demand; two of them while it moves


class Life(Model):
    new_fleet = DeviceFleet

    def __init__(self, rng):
        super().__init__(rng)
        self.first = {}
        self.living = {}  # number: Vm
        self.n_vms = 0
        for number in self.hosts:
            self.equip(number)
        for _ in range(rng.choice((0, 2, 4))):
            self.change_rule()

    def equip(self, number):
        host = self.hosts[number]
        host["devices"] = [(self.rng.randint(0, 1), 4, 4) for _ in range(self.rng.choice((0, 2, 3, 4)))]
        assert self.fleet.set_devices(number, host["devices"]) == OK
        self.first[number] = list(host["available"]), list(host["devices"])

    def verdict(self, policy, vector, groups, labels, number):
        found = super().verdict(policy, vector, groups, labels, number)
        if found[0] in (CANDIDATE, RULE) and missing(self.hosts[number]["devices"], self.demands) > 0:
            return DEVICE, 0, 0, 0.0
        return found

    def recount(self):
        """All hosts from what they had and from who is there now."""
        self.vms = [(host, vm.groups) for vm in self.living.values() for host in vm.ends]
        for number, host in self.hosts.items():
            available, devices = self.first[number]
            for vm in self.living.values():
                if number in vm.ends:
                    available = [a - v for a, v in zip(available, vm.vector)]
                    devices = booked(devices, vm.demands, vm.ends[number])
            host["available"], host["devices"] = list(available), list(devices)
            assert min(available) >= 0  # nothing is ever overdrawn
            assert all(0 <= free <= capacity for _, capacity, free in devices)

    def assert_same(self):
        assert self.fleet.call("check") is None
        for number, host in self.hosts.items():
            assert self.fleet.available(number) == tuple(host["available"])
            assert self.fleet.devices(number) == host["devices"]

    def find(self, policy, vector, groups, demands):
        """The host and the devices there, or None; explained for each host as the model has it."""
        self.demands = demands
        request = ask(policy, vector, demands)
        request.n_groups, request.groups = len(groups), numbers(groups)
        self.check_verdicts(as_new(request), policy, vector, groups, [])
        result, decision = self.fleet.find_devices(request)
        if result == NO_HOST:
            return None
        chosen = tightest(self.hosts[decision.host]["devices"], demands)
        assert decision.devices == mask_of(chosen)
        return decision.host, chosen

    def book(self, vm, host, chosen):
        assert self.fleet.call("take", host, amounts(vm.vector)) == OK
        assert self.fleet.call("enter", host, numbers(vm.groups), len(vm.groups)) == OK
        for (_, slices, _), its in zip(vm.demands, chosen):
            assert self.fleet.call("take_devices", host, slices, mask_of([its])) == OK
        vm.ends[host] = chosen
        self.recount()

    def unbook(self, vm, host):
        for (_, slices, _), its in zip(vm.demands, vm.ends[host]):
            assert self.fleet.call("give_devices", host, slices, mask_of([its])) == OK
        assert self.fleet.call("leave", host, numbers(vm.groups), len(vm.groups)) == OK
        assert self.fleet.call("give", host, amounts(vm.vector)) == OK
        del vm.ends[host]
        self.recount()

    def start(self, policy, vector, groups, demands):
        found = self.find(policy, vector, groups, demands)
        if found is not None:
            self.n_vms += 1
            vm = self.living[self.n_vms] = Vm(vector, groups, demands)
            self.book(vm, *found)

    def stop(self, number):
        vm = self.living[number]
        for host in list(vm.ends):
            self.unbook(vm, host)
        del self.living[number]

    def set_enabled(self, number, enabled):
        assert self.fleet.call("set_enabled", number, enabled) == OK
        self.hosts[number]["enabled"] = enabled

    def find_target(self, vm, policy):
        """Where a VM would go if it were not where it is: a question that leaves no trace."""
        (source, chosen), = vm.ends.items()
        was_enabled = self.hosts[source]["enabled"]
        assert self.fleet.call("begin") == OK
        assert self.fleet.call("begin") == BUSY
        self.unbook(vm, source)
        self.set_enabled(source, False)
        self.assert_same()
        found = self.find(policy, vm.vector, vm.groups, vm.demands)
        assert self.fleet.call("rollback") == OK
        assert self.fleet.call("rollback") == ARGUMENT
        vm.ends[source], self.hosts[source]["enabled"] = chosen, was_enabled
        self.recount()
        self.assert_same()
        return found

    def start_move(self, vm, policy):
        """The VM is booked at the other end as well; whether there is one."""
        found = self.find_target(vm, policy)
        if found is not None:
            assert found[0] not in vm.ends
            self.book(vm, *found)
            assert len(vm.ends) == 2
        return found is not None

    def end_move(self, vm, succeeds):
        source, target = vm.ends
        assert self.fleet.call("begin") == OK
        self.unbook(vm, source if succeeds else target)
        assert self.fleet.call("commit") == OK
        assert self.fleet.call("commit") == ARGUMENT

    def on(self, host):
        return [vm for vm in self.living.values() if host in vm.ends]


vectors = st.tuples(st.integers(1, 4), st.sampled_from([0, 0, 0, 1, 2])).map(list)
groups = st.sets(st.integers(0, 3), max_size=2).map(sorted)
slices = st.sampled_from([1, 2, 3, WHOLE])
n_devices = st.sampled_from([1, 1, 1, 2])
demands = st.one_of(
    st.just([]),
    st.just([]),
    st.tuples(n_devices, slices).map(lambda d: [(*d, ANY)]),
    st.tuples(n_devices, slices, n_devices, slices).map(lambda d: [(d[0], d[1], 1), (d[2], d[3], 2)]),
)
policies = st.integers(0, 7)


class LifeMachine(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 2**32))
    def start(self, seed):
        rng = random.Random(seed)
        self.life = Life(rng)
        for _ in range(8):
            groups = sorted(rng.sample(range(4), rng.choice((0, 1, 2))))
            demands = [(1, rng.choice((1, 2, WHOLE)), ANY)] if rng.random() < 0.4 else []
            self.life.start(rng.randint(0, 7), [rng.randint(1, 3), 0], groups, demands)

    def pick(self, data, moving=None):
        """One of the VMs, in a move or not."""
        found = [n for n, vm in self.life.living.items() if moving is None or (len(vm.ends) == 2) == moving]
        return data.draw(st.sampled_from(found)) if found else None

    def pick_host(self, data):
        return data.draw(st.sampled_from(sorted(self.life.hosts)))

    @rule(policy=policies, vector=vectors, groups=groups, demands=demands)
    def place(self, policy, vector, groups, demands):
        self.life.start(policy, vector, groups, demands)

    @rule(policy=policies, vector=vectors, groups=groups, demands=demands)
    def place_again(self, policy, vector, groups, demands):
        self.life.start(policy, vector, groups, demands)

    @rule(data=st.data())
    def remove(self, data):
        number = self.pick(data)
        if number is not None:
            self.life.stop(number)

    @rule(data=st.data(), vector=vectors)
    def resize(self, data, vector):
        """What it gives back is given first: a VM may grow in one amount by shrinking in another. Each end that it is
        at must have room; else nothing changes."""
        life, number = self.life, self.pick(data)
        if number is None:
            return
        vm = life.living[number]
        less = [max(0, old - new) for old, new in zip(vm.vector, vector)]
        more = [max(0, new - old) for old, new in zip(vm.vector, vector)]
        fits = all(m <= a for host in vm.ends for m, a in zip(more, life.hosts[host]["available"]) if m > 0)
        assert life.fleet.call("begin") == OK
        results = []
        for host in vm.ends:
            assert life.fleet.call("give", host, amounts(less)) == OK
            results.append(life.fleet.call("take", host, amounts(more)))
        assert set(results) <= {OK, OVERDRAW} and (OVERDRAW not in results) == fits
        assert life.fleet.call("commit" if fits else "rollback") == OK
        if fits:
            vm.vector = vector
        life.recount()

    @rule(data=st.data(), policy=policies)
    def start_move(self, data, policy):
        number = self.pick(data, moving=False)
        if number is not None:
            self.life.start_move(self.life.living[number], policy)

    @rule(data=st.data(), succeeds=st.booleans())
    def end_move(self, data, succeeds):
        number = self.pick(data, moving=True)
        if number is not None:
            self.life.end_move(self.life.living[number], succeeds)

    @rule(data=st.data(), policy=policies)
    def drain(self, data, policy):
        """The host takes nothing new; its VMs leave one by one while there is room. Empty, it may go."""
        life, host = self.life, self.pick_host(data)
        life.set_enabled(host, False)
        for vm in data.draw(st.permutations(life.on(host))):
            if len(vm.ends) == 2:
                life.end_move(vm, succeeds=next(iter(vm.ends)) == host)
            elif life.start_move(vm, policy):
                life.assert_same()
                life.end_move(vm, succeeds=True)
            life.assert_same()
        if life.on(host):
            assert life.fleet.call("remove", host) == BUSY
            life.set_enabled(host, data.draw(st.booleans()))
        else:
            assert life.fleet.call("remove", host) == OK
            del life.hosts[host]
            life.add_host(host)
            life.equip(host)

    @rule(data=st.data(), policy=policies, returns=st.booleans())
    def fail(self, data, policy, returns):
        """What ran there starts elsewhere if it can; a move to it is off, one from it is a start elsewhere."""
        life, host = self.life, self.pick_host(data)
        life.set_enabled(host, False)
        for vm in life.on(host):
            if len(vm.ends) == 2 and next(iter(vm.ends)) != host:
                life.end_move(vm, succeeds=False)
                continue
            number = next(n for n, its in life.living.items() if its is vm)
            life.stop(number)
            life.start(policy, vm.vector, vm.groups, vm.demands)
        assert not life.on(host)
        life.set_enabled(host, returns)

    @rule(data=st.data())
    def come_back(self, data):
        self.life.set_enabled(self.pick_host(data), True)

    @precondition(lambda self: hasattr(self, "life"))
    @rule(data=st.data())
    def what_would_be_changes_no_host(self, data):
        """While a question is open, hosts, labels and rules stay as they are."""
        life, host = self.life, self.pick_host(data)
        call, free = life.fleet.call, amounts(life.hosts[host]["available"])
        apart = Rule(ctypes.sizeof(Rule), 1, 0, 1, 0, 0, 0)
        assert call("begin") == OK
        assert call("set", host, None, free) == BUSY
        assert call("add", 77, 0, amounts([1, 1]), None) == BUSY
        assert call("remove", host) == BUSY
        assert call("set_label", host, 0, True) == BUSY
        assert call("rule_add", 999, ctypes.byref(apart), None) == BUSY
        assert life.fleet.set_devices(host, life.hosts[host]["devices"]) == BUSY
        assert call("rollback" if data.draw(st.booleans()) else "commit") == OK

    @invariant()
    def the_fleet_is_the_model(self):
        if hasattr(self, "life"):
            self.life.assert_same()


TestLifeMachine = LifeMachine.TestCase
TestLifeMachine.settings = settings(max_examples=80, stateful_step_count=30)
