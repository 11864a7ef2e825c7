"""libberth-place's calendar and backfilling as Python sees them."""

import ctypes
import os

OK, NO_HOST, LATE = 0, 1, 2
OVERDRAW, EXISTS, TIME, UNKNOWN = -5, -4, -20, -21
NEVER = 2**63 - 1
FIRST_FIT = 2
IN_ORDER, EASY, CONSERVATIVE = range(3)
WAITS, STARTS, PLANNED, JOB_LATE, JOB_NEVER = range(5)

u32, i64 = ctypes.c_uint32, ctypes.c_int64
amounts_p = ctypes.POINTER(i64)


class Options(ctypes.Structure):
    _fields_ = [("struct_size", u32), ("n_dims", u32), ("expected_hosts", u32)]


class Request(ctypes.Structure):
    _fields_ = [
        ("struct_size", u32),
        ("policy", ctypes.c_int),
        ("vector", amounts_p),
        ("allowed", ctypes.c_void_p),
        ("allowed_words", u32),
        ("banned_count", u32),
        ("banned", ctypes.c_void_p),
        ("n_groups", u32),
        ("n_labels", u32),
        ("groups", ctypes.c_void_p),
        ("labels", ctypes.c_void_p),
        ("mix", ctypes.c_void_p),
        ("devices", ctypes.c_void_p),
        ("n_devices", u32),
    ]


class Device(ctypes.Structure):
    _fields_ = [("model", u32), ("capacity", u32), ("free", u32)]


class Demand(ctypes.Structure):
    _fields_ = [("n", u32), ("slices", u32), ("models", ctypes.c_uint64)]


class Holding(ctypes.Structure):
    _fields_ = [("slices", u32), ("devices", ctypes.c_uint64)]


class Commitment(ctypes.Structure):
    _fields_ = [
        ("struct_size", u32),
        ("host", u32),
        ("vector", amounts_p),
        ("start", i64),
        ("end", i64),
        ("lasting", u32),
        ("n_holdings", u32),
        ("holdings", ctypes.POINTER(Holding)),
    ]


class CalendarRequest(ctypes.Structure):
    _fields_ = [
        ("struct_size", u32),
        ("count", u32),
        ("request", ctypes.POINTER(Request)),
        ("from_", i64),
        ("duration", i64),
        ("deadline", i64),
        ("lasting", u32),
        ("fixed", ctypes.c_bool),
    ]


class Job(ctypes.Structure):
    _fields_ = [
        ("struct_size", u32),
        ("count", u32),
        ("request", ctypes.POINTER(Request)),
        ("duration", i64),
        ("deadline", i64),
        ("lasting", u32),
    ]


class Plan(ctypes.Structure):
    _fields_ = [
        ("struct_size", u32),
        ("state", ctypes.c_int),
        ("start", i64),
        ("hosts", ctypes.POINTER(u32)),
        ("devices", ctypes.POINTER(ctypes.c_uint64)),
    ]


def load():
    library = ctypes.CDLL(os.environ["BERTH_PLACE_LIBRARY"])
    handle = ctypes.c_void_p
    signatures = {
        "place_new": (ctypes.POINTER(Options), ctypes.POINTER(handle)),
        "place_free": (handle,),
        "place_add": (handle, u32, ctypes.c_uint64, amounts_p, amounts_p),
        "place_take": (handle, u32, amounts_p),
        "place_give": (handle, u32, amounts_p),
        "place_get": (handle, u32, amounts_p, amounts_p, handle),
        "place_check": (handle,),
        "place_set_devices": (handle, u32, ctypes.POINTER(Device), u32),
        "place_get_devices": (handle, u32, ctypes.POINTER(Device), ctypes.POINTER(u32)),
        "place_take_devices": (handle, u32, u32, ctypes.c_uint64),
        "calendar_devices_on": (handle, u32, i64, i64, amounts_p, ctypes.POINTER(u32)),
        "calendar_new": (handle, ctypes.POINTER(handle)),
        "calendar_free": (handle,),
        "calendar_advance": (handle, i64),
        "calendar_next": (handle,),
        "calendar_commit": (handle, u32, ctypes.POINTER(Commitment)),
        "calendar_cancel": (handle, u32),
        "calendar_set_end": (handle, u32, i64),
        "calendar_free_on": (handle, u32, i64, i64, amounts_p),
        "calendar_earliest": (
            handle,
            ctypes.POINTER(CalendarRequest),
            amounts_p,
            ctypes.POINTER(u32),
            ctypes.POINTER(ctypes.c_uint64),
        ),
        "calendar_check": (handle,),
        "backfill": (
            handle,
            i64,
            ctypes.c_int,
            ctypes.POINTER(Job),
            u32,
            u32,
            ctypes.POINTER(Plan),
        ),
    }
    for name, argtypes in signatures.items():
        function = getattr(library, "berth_" + name)
        function.argtypes = argtypes
        function.restype = ctypes.c_int
    library.berth_place_free.restype = None
    library.berth_calendar_free.restype = None
    library.berth_calendar_next.restype = i64
    library.berth_place_check.restype = ctypes.c_char_p
    library.berth_calendar_check.restype = ctypes.c_char_p
    return library


library = load()


def amounts(values):
    return (i64 * len(values))(*values)


def make_request(vector):
    return Request(struct_size=ctypes.sizeof(Request), policy=FIRST_FIT, vector=amounts(vector))


class Calendar:
    """A fleet of hosts with a calendar, at time 0."""

    def __init__(self, capacities, devices=None):
        """`devices`: by host, the slices of each of its devices."""
        self.n_dims = len(capacities[0])
        options = Options(struct_size=ctypes.sizeof(Options), n_dims=self.n_dims)
        self.place, self.handle = ctypes.c_void_p(), ctypes.c_void_p()
        assert library.berth_place_new(options, ctypes.byref(self.place)) == OK
        for host, capacity in enumerate(capacities):
            assert library.berth_place_add(self.place, host, host, amounts(capacity), None) == OK
        for host, slices in enumerate(devices or []):
            row = (Device * len(slices))(*[Device(0, s, s) for s in slices])
            assert library.berth_place_set_devices(self.place, host, row, len(slices)) == OK
        assert library.berth_calendar_new(self.place, ctypes.byref(self.handle)) == OK
        self.advance(0)

    def close(self):
        library.berth_calendar_free(self.handle)
        library.berth_place_free(self.place)

    def check(self):
        assert library.berth_place_check(self.place) is None
        assert library.berth_calendar_check(self.handle) is None

    def advance(self, now):
        assert library.berth_calendar_advance(self.handle, now) == OK

    def available(self, host):
        result = (i64 * self.n_dims)()
        assert library.berth_place_get(self.place, host, None, result, None) == OK
        return list(result)

    def free_on(self, host, start, end):
        result = (i64 * self.n_dims)()
        assert library.berth_calendar_free_on(self.handle, host, start, end, result) == OK
        return list(result)

    def devices_shown(self, host):
        row, n = (Device * 64)(), u32()
        assert library.berth_place_get_devices(self.place, host, row, ctypes.byref(n)) == OK
        return [device.free for device in row[: n.value]]

    def devices_on(self, host, start, end):
        result, n = (i64 * 64)(), u32()
        assert library.berth_calendar_devices_on(self.handle, host, start, end, result, ctypes.byref(n)) == OK
        return result[: n.value]

    def commit(self, number, host, vector, start, end, lasting=0, slices=()):
        """`slices`: of each device of the host."""
        held = [Holding(s, 1 << i) for i, s in enumerate(slices) if s > 0]
        commitment = Commitment(
            struct_size=ctypes.sizeof(Commitment),
            host=host,
            vector=amounts(vector),
            start=start,
            end=end,
            lasting=lasting,
            n_holdings=len(held),
            holdings=(Holding * len(held))(*held),
        )
        return library.berth_calendar_commit(self.handle, number, commitment)

    def cancel(self, number):
        return library.berth_calendar_cancel(self.handle, number)

    def set_end(self, number, end):
        return library.berth_calendar_set_end(self.handle, number, end)

    def earliest(self, vector, count, start, duration, deadline=NEVER, lasting=0, fixed=False, slices=0):
        """(result, start, hosts, devices); `slices` of one device for each, if not 0"""
        request = make_request(vector)
        demand = Demand(1, slices, 1)
        if slices > 0:
            request.devices = ctypes.cast(ctypes.pointer(demand), ctypes.c_void_p)
            request.n_devices = 1
        wanted = CalendarRequest(
            struct_size=ctypes.sizeof(CalendarRequest),
            count=count,
            request=ctypes.pointer(request),
            from_=start,
            duration=duration,
            deadline=deadline,
            lasting=lasting,
            fixed=fixed,
        )
        at, hosts, devices = i64(-1), (u32 * count)(), (ctypes.c_uint64 * count)()
        result = library.berth_calendar_earliest(self.handle, wanted, ctypes.byref(at), hosts, devices)
        return result, at.value, list(hosts), list(devices)
