"""What an endpoint bears, and when it is left alone: counted on a clock that the test moves."""

from __future__ import annotations

import pytest

from bus.errors import BusError, Permanent, Transient
from bus.events.attempts import answered
from bus.events.breaker import BreakerState, EndpointBreaker, blames_endpoint
from bus.events.limits import EndpointLimits
from bus.events.turns import Gate, Slots, Stream, Turns
from bus.site import Breaker, Limits
from tests.events.sending_doubles import ManualSeconds


def sent_within(limits: EndpointLimits, seconds: ManualSeconds, length: float, *, step: float = 0.01, bytes_each: int = 100) -> int:
    """How many sends pass in so long a time, when each ends at once and there is always one more."""
    sent = 0
    end = seconds.now + length
    while seconds.now < end:
        while limits.take():
            limits.sending(bytes_each)
            limits.done()
            sent += 1
        seconds.now += step
    return sent


def test_no_more_at_once_than_the_endpoint_bears() -> None:
    limits = EndpointLimits(Limits(concurrent=2), ManualSeconds())
    assert [limits.take() for _ in range(3)] == [True, True, False]
    assert limits.wait_seconds() == 0  # only an end of a send helps
    limits.sending(10)
    limits.done()
    assert limits.take()
    limits.give_back()
    assert limits.taken == 1


@pytest.mark.parametrize("rate", [0.5, 3.0, 50.0, 400.0])
def test_a_rate_holds_over_any_time(rate: float) -> None:
    seconds = ManualSeconds()
    limits = EndpointLimits(Limits(per_second=rate), seconds)
    burst = 1 + rate / 10
    for length in (20.0, 1.0, 20.0):
        assert sent_within(limits, seconds, length) <= rate * length + burst + 1
    seconds.now += 1000
    assert sent_within(limits, seconds, 40.0) >= rate * 39


def test_the_wait_for_a_rate_is_told() -> None:
    seconds = ManualSeconds()
    limits = EndpointLimits(Limits(per_second=0.5), seconds)
    assert limits.take()
    assert not limits.take()
    assert limits.wait_seconds() == pytest.approx(1.9)
    seconds.now += limits.wait_seconds()
    assert limits.take()


def test_a_place_not_used_costs_nothing() -> None:
    limits = EndpointLimits(Limits(per_second=1), ManualSeconds())
    for _ in range(5):
        assert limits.take()
        limits.give_back()


@pytest.mark.parametrize("bytes_each", [100, 5_000, 300_000])
def test_a_bandwidth_holds_whatever_the_size_of_events(bytes_each: int) -> None:
    seconds = ManualSeconds()
    limits = EndpointLimits(Limits(bytes_per_second=100_000), seconds)
    length = 60.0
    sent = sent_within(limits, seconds, length, bytes_each=bytes_each)
    assert sent * bytes_each <= 100_000 * length + 10_000 + bytes_each
    assert sent * bytes_each >= 0.9 * 100_000 * length - bytes_each


def test_places_taken_count_against_the_bandwidth_before_their_size_is_known() -> None:
    limits = EndpointLimits(Limits(concurrent=100, bytes_per_second=100_000), seconds := ManualSeconds())
    for _ in range(30):
        assert limits.take()
        limits.sending(5_000)
        limits.done()
        seconds.now += 1
    taken = sum(limits.take() for _ in range(100))
    assert 1 <= taken <= 4  # a burst of 10,000 bytes holds two


def test_new_limits_keep_what_runs() -> None:
    limits = EndpointLimits(Limits(concurrent=3), seconds := ManualSeconds())
    assert limits.take()
    assert limits.take()
    limits.change(Limits(concurrent=2), seconds)
    assert not limits.take()


def breaker(failures: int = 3, open_seconds: float = 10.0) -> tuple[EndpointBreaker, ManualSeconds]:
    seconds = ManualSeconds()
    return EndpointBreaker(Breaker(failures=failures, open_seconds=open_seconds), seconds), seconds


def test_failures_in_a_row_open_the_breaker() -> None:
    made, _ = breaker()
    assert [made.failed(), made.failed(), made.succeeded()] == [False, False, False]
    assert [made.failed(), made.failed(), made.failed()] == [False, False, True]
    assert made.state is BreakerState.OPEN
    assert not made.take()
    assert made.wait_seconds() == 10
    assert not made.failed()  # on its way when it opened
    assert made.wait_seconds() == 10


def test_one_probe_finds_out() -> None:
    made, seconds = breaker(failures=1)
    made.failed()
    seconds.now += 10
    assert made.state is BreakerState.HALF_OPEN
    assert [made.take(), made.take()] == [True, False]
    made.give_back()  # there was nothing to send
    assert made.take()
    assert made.succeeded()
    assert made.state is BreakerState.CLOSED
    assert made.take()


def test_failed_probes_make_the_wait_longer_up_to_ten_times() -> None:
    made, seconds = breaker(failures=1)
    made.failed()
    waits = []
    for _ in range(7):
        waits.append(made.wait_seconds())
        seconds.now += made.wait_seconds()
        assert made.take()
        assert made.failed()
    assert waits == [10, 20, 40, 80, 100, 100, 100]
    seconds.now += 100
    assert made.take()
    made.succeeded()
    made.failed()
    assert made.wait_seconds() == 10


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (Transient("RNK5605E", endpoint="x", error="ECONNREFUSED"), True),
        (Transient("RNK5604E", endpoint="x", timeout_seconds=15), True),
        (Transient("RNK5601E", endpoint="x", status=500), True),
        (Transient("RNK5601E", endpoint="x", status=503), True),
        (Transient("RNK5603E", endpoint="x", status=429), True),
        (Transient("RNK5601E", endpoint="x", status=400), False),
        (Transient("RNK5601E", endpoint="x", status=404), False),
        (Permanent("RNK5602E", endpoint="x", status=410), False),
        (BusError("RNK4204E", delivery="d", reason="r"), False),
    ],
)
def test_which_failures_speak_of_the_endpoint(error: Exception, blamed: bool) -> None:
    assert blames_endpoint(error) is blamed
    assert answered(error) is ("status" in error.facts)  # type: ignore[attr-defined]


class Round:
    """Gates and streams by name, and who gets the places."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.seconds = ManualSeconds()
        self.gates: dict[str, Gate] = {}

    def stream(self, tenant: str, endpoint: str, subscription: str, limits: Limits | None = None) -> Stream:
        name = f"{tenant}/{endpoint}"
        if name not in self.gates:
            self.gates[name] = Gate(tenant, endpoint, limits or Limits(concurrent=100), self.seconds)
        stream = Stream(tenant, subscription, None, self.gates[name])
        self.turns.add(stream)
        return stream

    def given(self, places: int) -> list[str]:
        found = (self.turns.next(lambda _: True) for _ in range(places))
        return [f"{one.tenant}{one.subscription}" for one in found if one is not None]


def test_places_go_round_tenants_then_endpoints_then_subscriptions() -> None:
    whole = Round()
    for endpoint, subscription in (("x", "1"), ("x", "2"), ("y", "3")):
        whole.stream("A", endpoint, subscription)
    whole.stream("B", "x", "4")
    assert whole.given(8) == ["A1", "B4", "A3", "B4", "A2", "B4", "A3", "B4"]


def test_a_flood_delays_a_neighbour_by_one_place() -> None:
    whole = Round()
    for number in range(50):
        whole.stream("A", f"e{number}", str(number))
    whole.given(30)
    whole.stream("B", "x", "!")
    assert "B!" in whole.given(2)


def test_an_endpoint_without_room_steps_out_until_it_has_some() -> None:
    whole = Round()
    whole.stream("A", "x", "1", Limits(concurrent=1))
    whole.stream("B", "x", "2")
    assert whole.given(4) == ["A1", "B2", "B2", "B2"]
    gate = whole.gates["A/x"]
    assert gate in whole.turns.parked
    gate.give_back()
    whole.turns.unpark(gate)
    assert "A1" in whole.given(2)


def test_places_of_an_endpoint_are_shared_by_its_subscriptions_at_a_rate() -> None:
    whole = Round()
    for name in "123":
        whole.stream("A", "x", name, Limits(per_second=1))
    got = []
    for _ in range(9):
        got += whole.given(5)
        gate = whole.gates["A/x"]
        assert 0 < gate.wait_seconds() <= 1.001
        gate.limits.sending(1)
        gate.limits.done()
        whole.seconds.now += gate.wait_seconds()
        whole.turns.unpark(gate)
    assert got == ["A1", "A2", "A3"] * 3


def test_slots_are_scarce_when_half_are_taken() -> None:
    slots = Slots(4)
    slots.take()
    assert not slots.scarce
    slots.take()
    assert slots.scarce


def test_a_stream_asks_for_as_many_as_it_finds() -> None:
    stream = Round().stream("A", "x", "1")
    stream.told = 50
    assert stream.limit == 50
    stream.claim_begins()
    stream.begun += 50
    assert stream.claim_ended(50, 50)
    assert stream.limit == 8
    assert stream.claim_begins()  # there will be more: the next may follow before this one is back
    assert not stream.claim_begins()
    assert not stream.claim_ended(8, 0)
    assert not stream.claim_ended(8, 0)
    assert stream.limit == 1


def test_only_an_end_that_others_may_have_waited_for_asks_again() -> None:
    stream = Round().stream("A", "x", "1")
    stream.begun = 3
    assert not stream.send_ended(1)  # nobody told of anything behind it
    stream.told = 1
    assert not stream.claim_begins()
    assert stream.send_ended(1)
    assert not stream.claim_begins()
    assert not stream.send_ended(2)  # enough claims are on their way: asked for when the first is back
    assert stream.claim_ended(4, 0)
    stream.claim_begins()
    assert not stream.claim_ended(1, 0)
    assert not stream.claim_ended(1, 0)
    assert stream.send_ended(3)
    stream.begun = 4
    assert not stream.send_ended(4)
