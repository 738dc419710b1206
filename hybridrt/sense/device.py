"""What the device says about itself, asked for seldom and never in the way of a request.

A host application often knows more than the system tells (a phone's temperature, a metered network), so its own readings
come first. What nobody tells stays unknown: there is no guess in here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypedDict

from hybridrt.signals import DeviceSnapshot, Thermal


class Reading(TypedDict, total=False):
    """What one look at the device told. What is left out, or none, is unknown."""

    online: bool | None
    metered: bool | None
    battery_percent: float | None
    on_battery: bool | None
    thermal: Thermal | str
    memory_free_bytes: int | None
    memory_pressure_percent: float | None
    cpu_pressure_percent: float | None


class Source(NamedTuple):
    """A function that looks at the device, and for how long what it saw holds."""

    read: Callable[[], Reading]
    max_age_s: float


# Free memory and pressure move with every program that starts; the kernel itself averages pressure over ten seconds.
LOAD_AGE_S = 5.0
# A chip heats up over tens of seconds.
THERMAL_AGE_S = 10.0
# A charge and the state of a network card change over minutes; asking for a battery costs up to a millisecond.
POWER_AGE_S = 30.0
# A host answers from memory; it is asked often, so that a network that became metered closes at once.
HOST_AGE_S = 1.0


class DeviceProbe:
    """Keeps the last reading of each source for a while, and joins them. Earlier sources win.

    `host` is the application's own reading; give `sources` to replace those of the system.
    """

    def __init__(
        self,
        host: Callable[[], Reading] | None = None,
        *,
        sources: Iterable[Source] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = (
            *(() if host is None else (Source(host, HOST_AGE_S),)),
            *(system_sources() if sources is None else sources),
        )
        self._clock = clock
        self._readings: list[tuple[float, Mapping[str, Any]] | None] = [None] * len(self._sources)

    def snapshot(self) -> DeviceSnapshot:
        """Return what is known now. A source that fails leaves its fields to the next one, or unknown."""
        now = self._clock()
        known: dict[str, Any] = {}
        ages: dict[str, float] = {}
        for place, source in enumerate(self._sources):
            kept = self._readings[place]
            if kept is None or now - kept[0] >= source.max_age_s:
                kept = self._readings[place] = (now, _read(source))
            taken_at, reading = kept
            for name, value in reading.items():
                if name not in known:
                    known[name] = value
                    ages[name] = now - taken_at
        return DeviceSnapshot(**known, age_s=MappingProxyType(ages))


def _read(source: Source) -> Mapping[str, Any]:
    """Ask a source, and keep what makes sense of its answer."""
    try:
        return {name: value for name, given in source.read().items() if (value := _sensible(name, given)) is not None}
    except Exception:  # noqa: BLE001 - a source is the host's or the system's code; a failed one knows nothing, and is asked again later
        return {}


def _sensible(name: str, value: object) -> object | None:
    """Return a value as its field holds it; none where it cannot be one, which means unknown."""
    if name in ("online", "metered", "on_battery"):
        return value if isinstance(value, bool) else None
    if name == "thermal":
        known = isinstance(value, str) and value in frozenset(Thermal) and value != Thermal.UNKNOWN
        return Thermal(str(value)) if known else None
    if name not in _NUMBERS or isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    if name == "memory_free_bytes":
        return int(value)
    return float(value) if value <= 100 else None


_NUMBERS = frozenset(field.name for field in fields(DeviceSnapshot) if field.name.endswith(("_percent", "_bytes")))


def system_sources(root: Path = Path("/")) -> tuple[Source, ...]:
    """Return what the operating system tells: through psutil everywhere, and on Linux by its files, which stand under `root`.

    Nobody here tells whether a network is metered, and outside Linux nobody tells the temperature: a host application does.
    """
    return (
        Source(lambda: _load(root), LOAD_AGE_S),
        Source(lambda: Reading(thermal=_thermal(root)), THERMAL_AGE_S),
        Source(_power, POWER_AGE_S),
    )


def _power() -> Reading:
    import psutil

    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return Reading(
        online=_is_online(psutil.net_if_stats()),
        battery_percent=None if battery is None else float(battery.percent),
        on_battery=None if battery is None or battery.power_plugged is None else not battery.power_plugged,
    )


def _is_online(interfaces: Mapping[str, object]) -> bool | None:
    """Say no where every network interface is down; an interface that is up does not prove a way out, so that is unknown."""
    up = [name for name, stats in interfaces.items() if getattr(stats, "isup", False) and not name.lower().startswith(("lo", "loopback"))]
    return None if up else False


def _load(root: Path) -> Reading:
    import psutil

    free = psutil.virtual_memory().available
    left = cgroup_memory_left(root)
    return Reading(
        memory_free_bytes=free if left is None else min(free, left),
        memory_pressure_percent=_pressure(root / "proc/pressure/memory"),
        cpu_pressure_percent=_pressure(root / "proc/pressure/cpu"),
    )


def cgroup_memory_left(root: Path) -> int | None:
    """Return the bytes a container may still take: the tightest limit of its group and of all groups above; none without one.

    What the kernel can take back at once (the inactive file cache) counts as free, as it does for the whole machine.
    """
    found: list[int] = []
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit, used, cache = root / "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            base, limit, used, cache = (
                root / "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            )
        else:
            continue
        group = base / path.lstrip("/")
        # Inside a container the path may be that of the host, which is not there; the mount itself is then the group.
        for folder in (group, *group.parents) if group.is_dir() else (base,):
            most, now = _whole(folder / limit), _whole(folder / used)
            if most is not None and now is not None:
                found.append(max(0, most - now + _cache(folder / "memory.stat", cache)))
            if folder == base:
                break
    return min(found, default=None)


def _cache(stat: Path, name: str) -> int:
    for line in (_text(stat) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0


def _pressure(file: Path) -> float | None:
    """Read the ten-second average of a pressure file: `some avg10=1.53 avg60=...`."""
    for line in (_text(file) or "").splitlines():
        words = line.split()
        if words[:1] == ["some"]:
            return next((float(word[6:]) for word in words if word.startswith("avg10=")), None)
    return None


# Where a zone begins to be warm: this far below the point at which the system slows the processor down.
_WARM_MILLIDEGREES = 10_000


def _thermal(root: Path) -> Thermal:
    """Return the worst of all thermal zones that say where they slow down and where they are too hot."""
    order = [Thermal.UNKNOWN, Thermal.NOMINAL, Thermal.FAIR, Thermal.SERIOUS, Thermal.CRITICAL]
    folder = root / "sys/class/thermal"
    zones = sorted(folder.glob("thermal_zone*")) if folder.is_dir() else []
    return max((_zone(zone) for zone in zones), key=order.index, default=Thermal.UNKNOWN)


def _zone(zone: Path) -> Thermal:
    temperature = _whole(zone / "temp")
    points: dict[str, int] = {}
    for kind in sorted(zone.glob("trip_point_*_type")):
        at = _whole(kind.with_name(kind.name.removesuffix("_type") + "_temp"))
        name = (_text(kind) or "").strip()
        if at is not None and at > 0:
            points[name] = min(at, points.get(name, at))
    slows_at = points.get("passive")
    too_hot_at = min((points[name] for name in ("hot", "critical") if name in points), default=None)
    if temperature is None or (slows_at is None and too_hot_at is None):
        return Thermal.UNKNOWN
    if too_hot_at is not None and temperature >= too_hot_at:
        return Thermal.CRITICAL
    if slows_at is None:
        # It says only where it shuts down; how near that is to slowing down is not known.
        return Thermal.UNKNOWN
    if temperature >= slows_at:
        return Thermal.SERIOUS
    return Thermal.FAIR if temperature >= slows_at - _WARM_MILLIDEGREES else Thermal.NOMINAL


def _whole(file: Path) -> int | None:
    text = (_text(file) or "").strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
