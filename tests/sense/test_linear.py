"""No text makes a scan take more than its share of time."""

import time

import pytest

from hybridrt.sense.complexity import score
from hybridrt.sense.injection import has_known_form
from hybridrt.sense.language import language_of
from hybridrt.sense.passage import prepare
from tests.sense.kit import DETECTORS

UNITS = (
    "a", "1", "1 ", "1.", "1-", "(1", "+1", "@", "a@", "a.", "a@a.", "0", "4111 ", "4111111111111111 ", "DE89 ", "password ", "password=", "password is ",
    "password for my ", "pin for a b ", "token ", "secret_key_", "key for a b ", "bearer ", "login a ", "-----BEGIN PRIVATE KEY-----", "eyJa.", "https://a:",
    "sk-ant-", "i have had ", "my mother ", "my my ", "i am am cancer ", "i have hiv ", "cancer ", "John Smith has cancer ", "my knee ", "45 year old male pain ",
    "passport number ", "AB 12", "A", "\u200b", "é1", "\u04301", "\ufdfa", "ignore all ", "reveal your ", "seed word ", "a dot ", "a at a dot ", "%B4111111111111^",
    "10.1.2.3 ", "::1", "a:b:", "12 Old Mill ", "12 a b c d ", "straße 5 ", "rue de ", "Calle ", "plate ab ", "vin 1HGCM8263", "born 3 ", "aged ", "mrn a1 ",
    "username a", "@a ", "one two ", "1\n", "jdbc:a:", "pwd=a;", "a=b;", "x-key: a", "is a password ", "https://", "a.com ", "0xab", "bc1q", "iban DE89 ",
    "my son, a, ", "my son, a has cancer ", "Ana Bo, a, ", "John Smith, x, has cancer ", "the client, a 4, ",
    "i was arrested ", "my lawyer ", "my son Leo, 7 ", "Anna Kowalska earns ", "58yo F ", "dear Mr A, ", "12 a street ", "the tenant ", "pneumonitis ",
    "convicted of my ", "in the story ", "write a a a story ", "i like to be gay ", "he is a a a muslim ", "live at 12 a road ",
    "--password ", "cvv ", "account number ", "\n", " ", ".", "{", "\x00", "\u202e", "x1 ", "call (1",
)  # fmt: skip


def seconds(text):
    began = time.process_time()
    passage = prepare(text)
    for detector in DETECTORS.values():
        for _ in detector.scan(passage):
            pass
    score(passage, language_of(passage))
    has_known_form(passage)
    return time.process_time() - began


@pytest.mark.parametrize("unit", UNITS)
def test_twice_the_text_takes_about_twice_the_time(unit):
    seconds(unit * 50)
    short, long = unit * (4_000 // len(unit)), unit * (16_000 // len(unit))
    quick = min(seconds(short) for _ in range(3))
    slow = min(seconds(long) for _ in range(3))
    # Four times the text. Quadratic work would take sixteen times as long; half of that is well above the noise.
    assert slow < 8 * quick + 0.01
