"""The machine reassignment problem by its definition: costs and constraints computed from the files' texts alone."""


class Model:
    """A model file, read by the challenge's definition."""

    def __init__(self, text):
        numbers = iter([int(token) for token in text.split()])
        take = lambda: next(numbers)
        many = lambda n: [take() for _ in range(n)]
        n_resources = take()
        self.resources = [tuple(many(2)) for _ in range(n_resources)]
        n_machines = take()
        self.machines = [
            (take(), take(), many(n_resources), many(n_resources), many(n_machines)) for _ in range(n_machines)
        ]
        self.services = []
        for _ in range(take()):
            spread, count = take(), take()
            self.services.append((spread, many(count)))
        self.processes = [(take(), many(n_resources), take()) for _ in range(take())]
        self.balances = [tuple(many(4)) for _ in range(take())]
        self.weights = tuple(many(3))
        assert next(numbers, None) is None

    def used(self, assignment):
        used = [[0] * len(self.resources) for _ in self.machines]
        for (_, needs, _), machine in zip(self.processes, assignment):
            for r, need in enumerate(needs):
                used[machine][r] += need
        return used

    def cost(self, initial, assignment):
        used = self.used(assignment)
        load = balance = process_move = machine_move = 0
        for m, (_, _, capacity, safety, _) in enumerate(self.machines):
            for r, (_, weight) in enumerate(self.resources):
                load += weight * max(0, used[m][r] - safety[r])
            for first, second, target, weight in self.balances:
                left = [capacity[r] - used[m][r] for r in (first, second)]
                balance += weight * max(0, target * left[0] - left[1])
        moved = [0] * len(self.services)
        for p, (service, _, cost) in enumerate(self.processes):
            if initial[p] != assignment[p]:
                process_move += cost
                moved[service] += 1
            machine_move += self.machines[initial[p]][4][assignment[p]]
        parts = {
            "load": load,
            "balance": balance,
            "process_move": process_move * self.weights[0],
            "service_move": max(moved, default=0) * self.weights[1],
            "machine_move": machine_move * self.weights[2],
        }
        return parts | {"total": sum(parts.values())}

    def broken(self, initial, assignment):
        """The names of the constraints that an assignment breaks."""
        broken = set()
        used = self.used(assignment)
        for p, machine in enumerate(initial):
            for r, (transient, _) in enumerate(self.resources):
                if transient and assignment[p] != machine:
                    used[machine][r] += self.processes[p][1][r]
        plain = self.used(assignment)
        for m, machine in enumerate(self.machines):
            for r, (transient, _) in enumerate(self.resources):
                if plain[m][r] > machine[2][r]:
                    broken.add("capacity")
                elif used[m][r] > machine[2][r]:
                    broken.add("transient")
        on = [[] for _ in self.services]
        for (service, _, _), machine in zip(self.processes, assignment):
            on[service].append(machine)
        for (spread, needs), machines in zip(self.services, on):
            if len(set(machines)) < len(machines):
                broken.add("conflict")
            if len({self.machines[m][1] for m in machines}) < spread:
                broken.add("spread")
            here = {self.machines[m][0] for m in machines}
            for other in needs:
                if not here <= {self.machines[m][0] for m in on[other]}:
                    broken.add("dependency")
        return broken
