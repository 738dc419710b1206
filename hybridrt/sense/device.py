"""What the device says about itself, asked for seldom and never in the way of a request."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from hybridrt.signals import DeviceState

# Batteries, networks and memory change over minutes; asking the system costs up to a millisecond.
MAX_AGE_S = 10.0


class DeviceProbe:
    """Keeps the last answer of a probe for a while. `probe` may be any function; the host app often knows more than the system."""

    def __init__(
        self,
        probe: Callable[[], DeviceState] | None = None,
        *,
        max_age_s: float = MAX_AGE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probe = probe or probe_system
        self._max_age_s = max_age_s
        self._clock = clock
        self._state = DeviceState()
        self._asked_at: float | None = None

    def state(self) -> DeviceState:
        """Return what is known, at most `max_age_s` old. A probe that fails leaves everything unknown."""
        now = self._clock()
        if self._asked_at is None or now - self._asked_at >= self._max_age_s:
            self._asked_at = now
            try:
                self._state = self._probe()
            except Exception:  # noqa: BLE001 - a probe is the host's or the system's code; a failed one means unknown, and is asked again later
                self._state = DeviceState()
        return self._state


def probe_system() -> DeviceState:
    """Ask the operating system through psutil. What it does not tell stays unknown: metering, temperature classes, reachability."""
    try:
        import psutil
    except ImportError:
        return DeviceState()
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return DeviceState(
        online=_is_online(psutil.net_if_stats()),
        battery_percent=None if battery is None else float(battery.percent),
        on_battery=None if battery is None or battery.power_plugged is None else not battery.power_plugged,
        memory_free_bytes=psutil.virtual_memory().available,
    )


def _is_online(interfaces: Mapping[str, object]) -> bool | None:
    """Say no where every network interface is down; an interface that is up does not prove a way out, so that is unknown."""
    up = [name for name, stats in interfaces.items() if getattr(stats, "isup", False) and not name.lower().startswith(("lo", "loopback"))]
    return None if up else False
