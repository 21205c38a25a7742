"""The clocks."""

from __future__ import annotations

import time

from bus.clock import ManualClock, SystemClock


def test_the_system_clock_tells_utc_microseconds() -> None:
    before = time.time()
    now = SystemClock().now_us() / 1_000_000
    assert before - 0.001 <= now <= time.time() + 0.001


def test_a_manual_clock_moves_by_hand_in_both_directions() -> None:
    clock = ManualClock(10_000_000)
    assert clock.advance(1.5) == clock.now_us() == 11_500_000
    assert clock.advance(-11) == 500_000
    clock.set_us(7)
    assert clock.now_us() == 7
