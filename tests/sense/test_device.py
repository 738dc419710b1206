"""The device probe: each source asked in its own time, the host first, and never a guess."""

import math

import pytest

from hybridrt.request import make_request
from hybridrt.sense import Senses
from hybridrt.sense.device import DeviceProbe, Source, cgroup_memory_left, system_sources
from hybridrt.signals import DeviceSnapshot, Thermal


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def probe(reading, **options):
    return DeviceProbe(lambda: reading, sources=(), **options)


def test_a_source_is_asked_again_only_when_its_reading_is_old_and_the_age_says_how_old():
    clock, asked = Clock(), []

    def read():
        asked.append(clock.now)
        return {"battery_percent": float(len(asked))}

    device = DeviceProbe(sources=[Source(read, 10.0)], clock=clock)
    seen = []
    for clock.now in (0.0, 1.0, 9.5, 10.0, 15.0, 25.0):
        snapshot = device.snapshot()
        seen.append((snapshot.battery_percent, snapshot.age_s["battery_percent"]))
    assert asked == [0.0, 10.0, 25.0]
    assert seen == [(1.0, 0.0), (1.0, 1.0), (1.0, 9.5), (2.0, 0.0), (2.0, 5.0), (3.0, 0.0)]


def test_a_source_that_fails_leaves_its_fields_unknown_until_it_is_asked_again():
    clock = Clock()
    answers = [{"online": True}, OSError(), {"online": True}]

    def read():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    device = DeviceProbe(sources=[Source(read, 1.0)], clock=clock)
    states = []
    for clock.now in (0.0, 2.0, 4.0):
        states.append(device.snapshot().online)
    assert states == [True, None, True]


def test_what_the_host_application_knows_wins_and_the_system_fills_the_rest():
    system = Source(lambda: {"metered": False, "battery_percent": 80.0}, 10.0)
    snapshot = DeviceProbe(lambda: {"metered": True, "thermal": "serious", "battery_percent": None}, sources=[system]).snapshot()
    assert (snapshot.metered, snapshot.thermal, snapshot.battery_percent) == (True, Thermal.SERIOUS, 80.0)


@pytest.mark.parametrize(
    "reading",
    [
        {"battery_percent": 150.0},
        {"battery_percent": -1},
        {"battery_percent": math.nan},
        {"battery_percent": True},
        {"battery_percent": "80"},
        {"online": "yes"},
        {"metered": 1},
        {"thermal": "warm"},
        {"thermal": "unknown"},
        {"thermal": None},
        {"memory_free_bytes": -5},
        {"cpu_pressure_percent": 101.0},
        {"taste": 3},
        {},
        None,
        [1, 2],
    ],
)
def test_a_reading_that_makes_no_sense_is_unknown(reading):
    snapshot = probe(reading).snapshot()
    assert snapshot == DeviceSnapshot()
    assert not snapshot.age_s


@pytest.mark.parametrize("name", [thermal for thermal in Thermal if thermal is not Thermal.UNKNOWN])
def test_the_four_names_of_heat_are_understood(name):
    assert probe({"thermal": str(name)}).snapshot().thermal is name


def test_the_system_says_how_much_memory_is_free_and_nothing_it_cannot_know():
    snapshot = DeviceProbe().snapshot()
    assert snapshot.memory_free_bytes is not None
    assert snapshot.memory_free_bytes > 0
    assert snapshot.metered is None
    assert snapshot.online in (None, False)


async def test_signals_carry_what_the_host_application_knows():
    senses = Senses(device=probe({"metered": True, "thermal": "serious"}))
    assert (await senses.sense(make_request("hi", {}))).device == DeviceSnapshot(metered=True, thermal=Thermal.SERIOUS)


# ---- the files of Linux, written into a folder


def written(root, files):
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


MIB = 1 << 20


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n"}, None),
        ({"proc/self/cgroup": "0::/app\n", "sys/fs/cgroup/app/memory.max": "max\n", "sys/fs/cgroup/app/memory.current": "5\n"}, None),
        (
            {
                "proc/self/cgroup": "0::/app\n",
                "sys/fs/cgroup/app/memory.max": f"{100 * MIB}\n",
                "sys/fs/cgroup/app/memory.current": f"{60 * MIB}\n",
            },
            40 * MIB,
        ),
        (
            {  # the group above is tighter
                "proc/self/cgroup": "0::/pod/app\n",
                "sys/fs/cgroup/pod/app/memory.max": f"{100 * MIB}\n",
                "sys/fs/cgroup/pod/app/memory.current": f"{10 * MIB}\n",
                "sys/fs/cgroup/pod/memory.max": f"{50 * MIB}\n",
                "sys/fs/cgroup/pod/memory.current": f"{40 * MIB}\n",
            },
            10 * MIB,
        ),
        (
            {  # what the kernel can take back is free
                "proc/self/cgroup": "0::/app\n",
                "sys/fs/cgroup/app/memory.max": f"{100 * MIB}\n",
                "sys/fs/cgroup/app/memory.current": f"{90 * MIB}\n",
                "sys/fs/cgroup/app/memory.stat": f"anon 1\ninactive_file {30 * MIB}\n",
            },
            40 * MIB,
        ),
        (
            {  # the path is that of the host, the mount is the container's
                "proc/self/cgroup": "0::/docker/abc\n",
                "sys/fs/cgroup/memory.max": f"{64 * MIB}\n",
                "sys/fs/cgroup/memory.current": f"{MIB}\n",
            },
            63 * MIB,
        ),
        (
            {
                "proc/self/cgroup": "12:cpu,cpuacct:/x\n4:memory:/app\n0::/\n",
                "sys/fs/cgroup/memory/app/memory.limit_in_bytes": f"{10 * MIB}\n",
                "sys/fs/cgroup/memory/app/memory.usage_in_bytes": f"{4 * MIB}\n",
            },
            6 * MIB,
        ),
        (
            {  # more used than allowed: nothing is left, and never less
                "proc/self/cgroup": "0::/app\n",
                "sys/fs/cgroup/app/memory.max": "10\n",
                "sys/fs/cgroup/app/memory.current": "20\n",
            },
            0,
        ),
    ],
)
def test_a_container_has_the_memory_of_its_group_and_not_of_the_machine(tmp_path, files, left):
    assert cgroup_memory_left(written(tmp_path, files)) == left


def system(root):
    return DeviceProbe(sources=system_sources(root)).snapshot()


@pytest.mark.parametrize(
    ("zones", "thermal"),
    [
        ([], "unknown"),
        ([("45000", [])], "unknown"),
        ([("45000", [("passive", "85000")])], "nominal"),
        ([("76000", [("passive", "85000")])], "fair"),
        ([("85000", [("passive", "85000"), ("critical", "100000")])], "serious"),
        ([("100000", [("passive", "85000"), ("critical", "100000")])], "critical"),
        ([("40000", [("critical", "100000")])], "unknown"),
        ([("101000", [("critical", "100000")])], "critical"),
        ([("40000", [("passive", "0")])], "unknown"),
        ([("rubbish", [("passive", "85000")])], "unknown"),
        ([("40000", [("passive", "85000")]), ("90000", [("passive", "85000")])], "serious"),
        ([("40000", [("passive", "95000"), ("passive", "45000")])], "fair"),
    ],
)
def test_heat_is_read_from_the_points_where_the_system_slows_down(tmp_path, zones, thermal):
    files = {}
    for number, (temperature, points) in enumerate(zones):
        folder = f"sys/class/thermal/thermal_zone{number}"
        files[f"{folder}/temp"] = temperature + "\n"
        for point, (kind, at) in enumerate(points):
            files[f"{folder}/trip_point_{point}_type"] = kind + "\n"
            files[f"{folder}/trip_point_{point}_temp"] = at + "\n"
    assert system(written(tmp_path, files)).thermal == thermal


@pytest.mark.parametrize(
    ("text", "percent"),
    [
        ("some avg10=12.50 avg60=3.00 avg300=1.00 total=99\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=1\n", 12.5),
        ("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", 0.0),
        ("", None),
        ("full avg10=1.00\n", None),
    ],
)
def test_pressure_is_the_ten_second_average_and_unknown_without_the_file(tmp_path, text, percent):
    root = written(tmp_path, {"proc/pressure/cpu": text, "proc/pressure/memory": text} if text else {})
    snapshot = system(root)
    assert (snapshot.cpu_pressure_percent, snapshot.memory_pressure_percent) == (percent, percent)
