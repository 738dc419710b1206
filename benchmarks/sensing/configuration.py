"""The named configurations: the patterns on the engine of the standard library, the same on RE2, and with what was learned."""

from __future__ import annotations

from hybridrt.sense import Detector
from hybridrt.sense.credential import Credential
from hybridrt.sense.engine import PlainEngine, installed_engine
from hybridrt.sense.senses import shipped_detectors
from hybridrt.sense.statements import learned

CONFIGURATIONS = ("t0-pure", "t0-fast", "t1")


def detectors(configuration: str) -> tuple[Detector, ...]:
    """Return the detectors of a configuration."""
    engine = PlainEngine() if configuration == "t0-pure" else installed_engine()
    shipped = tuple(Credential(engine) if isinstance(one, Credential) else one for one in shipped_detectors())
    return learned(shipped) if configuration == "t1" else shipped
