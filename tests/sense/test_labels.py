"""Machines, vehicles, records, births, places, wallets and user names: what is one and what is not."""

import random

import pytest

from benchmarks.sensing.chat import base58check, vin
from tests.sense.kit import found, labels

FOUND = (
    ("ip_address", "who is 203.0.113.77?", "203.0.113.77"),
    ("ip_address", "ping 10.11.12.13:8080 now", "10.11.12.13"),
    ("ip_address", "route 192.168.4.0/24", "192.168.4.0"),
    ("ip_address", "at 2001:db8:85a3::8a2e:370:7334.", "2001:db8:85a3::8a2e:370:7334"),
    ("ip_address", "[fe80::1c2d:3e4f:5a6b:7c8d]", "fe80::1c2d:3e4f:5a6b:7c8d"),
    ("ip_address", "blocked 198[.]51[.]100[.]23", "198[.]51[.]100[.]23"),
    ("mac_address", "tv 3C:5A:B4:01:EF:99", "3C:5A:B4:01:EF:99"),
    ("mac_address", "3c-5a-b4-01-ef-99", "3c-5a-b4-01-ef-99"),
    ("mac_address", "mac 3c5a.b401.ef99", "3c5a.b401.ef99"),
    ("device_id", "IMEI 35 209900 176148 1", "35 209900 176148 1"),
    ("device_id", "serial number: C02XG0FDH7JY", "C02XG0FDH7JY"),
    ("device_id", "device id 6f1e2d3c-aaaa-4bbb-8ccc-1234567890ab", "6f1e2d3c-aaaa-4bbb-8ccc-1234567890ab"),
    ("url", "read https://heron.example/a_(b)?x=1#y, then", "https://heron.example/a_(b)?x=1#y"),
    ("url", "(see http://heron.example/a)", "http://heron.example/a"),
    ("url", "www.heron.example is down", "www.heron.example"),
    ("url", "hxxps://heron.example/x", "hxxps://heron.example/x"),
    ("url", "go to heron-tools.io/u/7", "heron-tools.io/u/7"),
    ("vin", "is 1HGCM82633A004352 stolen", "1HGCM82633A004352"),
    ("vin", "vin: wba3a5c50cf256651", "wba3a5c50cf256651"),
    ("license_plate", "plate number 7ABC123", "7ABC123"),
    ("license_plate", "number plate AB12 CDE", "AB12 CDE"),
    ("license_plate", "Kennzeichen B-MW 1234", "B-MW 1234"),
    ("medical_record_number", "MRN: 00847211", "00847211"),
    ("medical_record_number", "the patient id is H-20311", "H-20311"),
    ("health_plan_number", "my medicare number is 1EG4-TE5-MK73", "1EG4-TE5-MK73"),
    ("health_plan_number", "insurance member id XQJ 884 221 903", "XQJ 884 221 903"),
    ("employee_id", "employee number 448812", "448812"),
    ("employee_id", "ask EMP-00417 about it", "EMP-00417"),
    ("date_of_birth", "DOB 3/14/1986", "3/14/1986"),
    ("date_of_birth", "she was born on the 2nd of May 1979", "2nd of may 1979"),
    ("date_of_birth", "geboren am 14. März 1985", "14. märz 1985"),
    ("date_of_birth", "date of birth: 1990-02-28", "1990-02-28"),
    ("age", "I am 43 years old", "43 years old"),
    ("age", "a man aged 71", "71"),
    ("age", "my 6-year-old", "6-year-old"),
    ("postcode", "zip code 94103-1234", "94103-1234"),
    ("postcode", "somewhere in SW1A 2AA", "SW1A 2AA"),
    ("postcode", "K1A 0B1 is in Ottawa", "K1A 0B1"),
    ("postcode", "we ship to Boise, ID 83702", "83702"),
    ("address", "ship to 742 Evergreen Terrace, Springfield, IL 62704", "742 Evergreen Terrace, Springfield, IL 62704"),
    ("address", "i live at 18 maple street", "18 maple street"),
    ("address", "Flat 3, 27 Heron Close, Leeds LS6 2QT", "Flat 3, 27 Heron Close, Leeds LS6 2QT"),
    ("address", "Berliner Straße 12, 10115 Berlin", "Berliner Straße 12, 10115 Berlin"),
    ("address", "14 rue du Moulin, 75011 Paris", "14 rue du Moulin, 75011 Paris"),
    ("address", "Calle Mayor 5", "Calle Mayor 5"),
    ("address", "Via Garibaldi 12, 20121 Milano", "Via Garibaldi 12, 20121 Milano"),
    ("address", "Prinsengracht 263, 1016 GV Amsterdam", "Prinsengracht 263, 1016 GV Amsterdam"),
    ("address", "PO Box 1182", "PO Box 1182"),
    ("geo_coordinates", "meet at 47.60621, -122.33207", "47.60621, -122.33207"),
    ("geo_coordinates", "40°42'46\"N 74°00'22\"W", "40°42'46\"N 74°00'22\"W"),
    ("geo_coordinates", "lat 51.501, lng -0.142", "51.501, lng -0.142"),
    ("username", "my username is kestrel_77", "kestrel_77"),
    ("username", "twitter: @heron.fan", "@heron.fan"),
    ("crypto_wallet", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"),
    ("crypto_wallet", "send to 0x52908400098527886E0F7030069857D2E4169EE7", "0x52908400098527886E0F7030069857D2E4169EE7"),
)
NOTHING = (
    "version 10.4.2.1 is out",
    "127.0.0.1 and 0.0.0.0 and 255.255.255.0",
    "999.1.1.1 is no address",
    "1.2.3.4.5 is an OID",
    "at 12:30:45 sharp, ratio 1:2:3",
    "std::map<int, int> a::b",
    "00:00:00:00:00:00",
    "asp.net or node.js or main.py?",
    "the serial comma, number 4",
    "1HGCM82633A004353",
    "12 plates and 30 cups",
    "register 28 students",
    "patient 3 of 40",
    "the employee of 2024",
    "record number of 2024 visitors",
    "born in 1985",
    "born to run, take 5",
    "aged to perfection in 12 barrels",
    "5 miles down the road",
    "20 houses on the street",
    "3 way street fighter",
    "point (1.25, 3.5)",
    "weights 0.1234, 0.5678",
    "[12.3456, 78.9012, 34.5678]",
    "my username is not working",
    "@dataclass class User: pass",
    "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdz",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
)


@pytest.mark.parametrize(("label", "text", "value"), FOUND)
def test_it_is_found_to_the_character(label, text, value):
    # An address that is said to be somebody's is found as that.
    names = {"address", "home_address"} if label == "address" else {label}
    assert not names.isdisjoint(name for name, words in found(text) if words.lower() == value.lower())


@pytest.mark.parametrize("text", NOTHING)
def test_what_only_looks_like_it_is_nothing(text):
    assert labels(text) == set()


def test_a_wallet_with_one_character_changed_is_none():
    rng = random.Random(7)
    for _ in range(20):
        address, number = base58check(rng), vin(rng)
        assert labels(f"to {address} now") == {"crypto_wallet"}
        assert labels(f"the car {number} is mine") == {"vin"}
        other = "2" if address[10] != "2" else "3"
        assert "crypto_wallet" not in labels(f"to {address[:10]}{other}{address[11:]} now")
