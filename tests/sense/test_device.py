"""The device probe: cached, injectable, and never in the way."""

from hybridrt.sense import Senses
from hybridrt.sense.device import DeviceProbe, probe_system
from hybridrt.signals import DeviceState


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_probe_is_asked_again_only_when_its_answer_is_old():
    clock, asked = Clock(), []

    def probe():
        asked.append(clock.now)
        return DeviceState(battery_percent=float(len(asked)))

    device = DeviceProbe(probe, max_age_s=10.0, clock=clock)
    for clock.now in (0.0, 1.0, 9.9, 10.0, 15.0, 25.0):
        device.state()
    assert asked == [0.0, 10.0, 25.0]
    assert device.state().battery_percent == 3.0


def test_a_probe_that_fails_leaves_everything_unknown_until_it_is_asked_again():
    clock = Clock()
    answers = [DeviceState(online=True), OSError(), DeviceState(online=True)]

    def probe():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    device = DeviceProbe(probe, max_age_s=1.0, clock=clock)
    states = []
    for clock.now in (0.0, 2.0, 4.0):
        states.append(device.state().online)
    assert states == [True, None, True]


def test_the_system_says_how_much_memory_is_free_and_nothing_it_cannot_know():
    state = probe_system()
    assert state.memory_free_bytes is None or state.memory_free_bytes > 0
    assert state.metered is None
    assert state.thermal == "unknown"
    assert state.online in (None, False)


async def test_signals_carry_what_the_host_application_knows():
    from hybridrt.request import make_request

    senses = Senses(device=DeviceProbe(lambda: DeviceState(metered=True, thermal="serious")))
    assert (await senses.sense(make_request("hi", {}))).device == DeviceState(metered=True, thermal="serious")
