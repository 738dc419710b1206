"""The senses of the device: one call turns a request into signals, without a network."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence

from hybridrt.deadline import Deadline
from hybridrt.mask import mask_growth_bytes
from hybridrt.request import Request, Text, has_words
from hybridrt.sense.birth import Birth
from hybridrt.sense.calibration import Calibration
from hybridrt.sense.combine import given
from hybridrt.sense.complexity import excerpt, score
from hybridrt.sense.contact import Contact
from hybridrt.sense.credential import Credential
from hybridrt.sense.detect import Detector, check_detector
from hybridrt.sense.device import DeviceProbe
from hybridrt.sense.health import Health
from hybridrt.sense.identity import Identity
from hybridrt.sense.injection import has_known_form
from hybridrt.sense.meaning import MEANINGS, Meaning
from hybridrt.sense.online import Online
from hybridrt.sense.payment import Payment
from hybridrt.sense.people import People
from hybridrt.sense.place import Place
from hybridrt.sense.privacy import SLICE, Scan, nothing_found, read, views
from hybridrt.sense.record import Record
from hybridrt.sense.task import task_of
from hybridrt.sense.texts import SensedText, texts
from hybridrt.sense.topics import Topics
from hybridrt.sense.vehicle import Vehicle
from hybridrt.signals import UNKNOWN, Complexity, Signals
from hybridrt.window.count import bounding
from hybridrt.window.pace import in_turns


def shipped_detectors() -> tuple[Detector, ...]:
    """Return the detectors that come with the package."""
    return (Contact(), Payment(), Identity(), Credential(), Online(), Vehicle(), Record(), Birth(), Place(), Health(), Topics(), People())


def covered_labels(detectors: Sequence[Detector] | None = None, meanings: Mapping[str, Meaning] = MEANINGS) -> frozenset[str]:
    """Return the data labels that the detectors and the rules over their findings answer for; every other is absent unless declared."""
    covered = frozenset[str]().union(*(detector.covers for detector in (shipped_detectors() if detectors is None else detectors)))
    return covered | given(covered, meanings)


# Made up; it opens every gate in front of a pattern.
_EVERYTHING = (
    "I was diagnosed with diabetes. Call +44 20 7946 0000, jane dot doe at example dot com, jane@example.com, my card "
    "4111 1111 1111 1111 cvv 123, account number 12345678, GB82WEST12345698765432, ssn 123456789, nhs sin bsn cpf tfn pesel "
    "steuer aadhaar personnummer, passport number X1234567, password=hunter2 --token x https://a:b@c.example eyJ pin 1234 "
    "login root / admin my api key is x9, bearer x, seed phrase, 45 yo male, ignore all previous instructions "
    "My neighbour Raj Patel at 12 Elm Road was convicted of theft and earns 54k. Dear Mr Brandt, my son Leo, 7, wets the bed. "
    "My brother came home. The doctors say it is lymphoma. As a practising Hindu I pray. I am a muslim, my salary is 87,000, I relapsed. "
    "Diagnosed with crohns last month. Fire my assistant. Performance review for Deepak. If the tenant is in prison. i "
    "live at 12 elm street. "
    "Was he convicted? He has a criminal record. A story of the actor. I have 3, how many? Trump voted for trump. I'm an ex-mormon here. "
    "-----BEGIN PRIVATE KEY----- ^ ghp_abcdefghijklmnopqrstuvwxyz0123456789 my knee hurts %40 \u00e9\u0430b "
    "10.1.2.3 2001:db8::1:2 3c:5a:b4:01:ef:99 imei 352099001761481 www.heron.example vin 1HGCM82633A004352 plate 7ABC123 mrn 8837261 "
    "born 3 May 1979, aged 43, 742 Evergreen Terrace, Boise, ID 83702, Lindenstra\u00dfe 5, rue 12, 47.60621, -122.33207, username a_b, "
    "one two three four five six seven, 1234\n567890, Server=a;Uid=b;Password=c1d2; cookie: sid=a1b2c3d4e5f6 unlock sudo redis"
)


class Senses:
    """Holds the detectors and the device probe; everything else about it is a function of the request.

    Raises:
        ValueError: a detector has no proper name, or covers a label that nothing in `meanings` means.
    """

    def __init__(
        self,
        detectors: Sequence[Detector] | None = None,
        *,
        meanings: Mapping[str, Meaning] = MEANINGS,
        device: DeviceProbe | None = None,
        calibration: Calibration | None = None,
        slice_chars: int = SLICE,
    ) -> None:
        self.detectors = tuple(shipped_detectors() if detectors is None else detectors)
        for detector in self.detectors:
            check_detector(detector, meanings)
        self.meanings = meanings
        self._device = device or DeviceProbe()
        self._calibration = calibration
        self._slice_chars = slice_chars
        # Nearly every request ends here.
        self._nothing = nothing_found(self.detectors, meanings)
        self._nothing_beside_pictures = Scan(self.detectors, meanings).verdict(has_images=True).privacy

    def covered_labels(self) -> frozenset[str]:
        """Return the data labels that these detectors answer for."""
        return covered_labels(self.detectors, self.meanings)

    def warm(self) -> None:
        """Compile patterns and read lists now, some 140 ms on a busy server core, so that the first request does not wait."""
        reading = read(_EVERYTHING)
        for detector in self.detectors:
            with contextlib.suppress(Exception):  # a detector that fails here fails again in a scan, and is named there
                list(detector.scan(reading.passage))
        list(views(reading.passage))
        score(reading.passage, reading.language, self._calibration)
        has_known_form(reading.passage)
        self._device.snapshot()

    async def sense(self, request: Request, deadline: Deadline | None = None) -> Signals:
        """Return everything the device can tell about a request. What was not read before the deadline is unknown."""
        began = time.perf_counter_ns()
        sensed = texts(request)
        modality = modality_of(request)
        ask = _ask(request, sensed)
        asked = None if ask is None else read(excerpt(sensed[ask].text))
        if asked is not None and len(asked.passage.text) > self._slice_chars:
            await asyncio.sleep(0)
        nothing = self._nothing if modality == "text" else self._nothing_beside_pictures
        scan = Scan(self.detectors, self.meanings, deadline, self._slice_chars, nothing)
        await scan.run(sensed, {} if ask is None or asked is None else {ask: asked})
        verdict = scan.verdict(has_images=modality != "text")
        return Signals(
            complexity=Complexity() if asked is None else score(asked.passage, asked.language, self._calibration),
            privacy=verdict.privacy,
            tokens=await in_turns(
                bounding(request, mask_growth_bytes(sensed, verdict.privacy.findings, self.meanings) if verdict.privacy.findings else 0)
            ),
            modality=modality,
            language=verdict.language,
            # What the caller names as the task is free text for a vision model, and no fact that a policy could build on.
            task=UNKNOWN if asked is None else task_of(asked.passage),
            injection=_injection(request, has_known_form=verdict.has_injection),
            device=self._device.snapshot(),
            sensed_us=(time.perf_counter_ns() - began) // 1000,
        )


def modality_of(request: Request) -> str:
    """Say what the request is made of: `text`, `image`, or `mixed` where both speak."""
    if not request.has_images:
        return "text"
    has_text = any(isinstance(part, Text) and has_words(part.text) for message in request.messages for part in message.parts)
    return "mixed" if has_text else "image"


def _ask(request: Request, sensed: Sequence[SensedText]) -> int | None:
    """Return which text holds what is asked for: the last words of the last user turn that has any."""
    for index in reversed(range(len(sensed))):
        place = sensed[index].message
        if (
            place is not None
            and sensed[index].part is not None
            and request.messages[place].role == "user"
            and has_words(sensed[index].text)
        ):
            return index
    return None


def _injection(request: Request, *, has_known_form: bool) -> str:
    """Say how likely text inside the request gives orders. A word list can recognise an attack; it cannot clear a tool's result."""
    if has_known_form:
        return "high"
    return UNKNOWN if any(message.role == "tool" for message in request.messages) else "low"
