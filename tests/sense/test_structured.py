"""What counts as an e-mail address, a telephone number, a card, an account or an official number, and what does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sense.kit import found, iban, labels, luhn, wide

CARD = "4929 1234 5678 9015"  # fits no issued card; its Luhn digit is right

EMAILS = (
    ("write to jane.doe@example.com please", "jane.doe@example.com"),
    ("<o'brien+tag@mail.example.co.uk>", "o'brien+tag@mail.example.co.uk"),
    ("mailto:info@münchen.example", "info@münchen.example"),
    ("JANE@EXAMPLE.COM.", "JANE@EXAMPLE.COM"),
    (wide("jane@example.com"), wide("jane@example.com")),
    ("jane\u200b@exam\u200bple.com", "jane\u200b@exam\u200bple.com"),
    ("jane dot doe at example dot com", "jane dot doe at example dot com"),
    ("jane (at) example (dot) com", "jane (at) example (dot) com"),
    ("jane [at] mail.example dot org", "jane [at] mail.example dot org"),
    ('{"to":"a_b-c@x-y.example"}', "a_b-c@x-y.example"),
)
NO_EMAILS = (
    "@app.route('/') def index(): pass",
    "git@github.com:owner/repo.git",
    "icon@2x.png",
    "meet me at the dot com bubble museum",
    "a @ b",
    "user@localhost",
    "pkg@1.2.3",
    "look at the dot on the map",
)


@pytest.mark.parametrize(("text", "address"), EMAILS)
def test_an_address_is_found_whole(text, address):
    assert ("email", address) in found(text, "contact")


@pytest.mark.parametrize("text", NO_EMAILS)
def test_what_only_looks_like_an_address_is_none(text):
    assert "email" not in labels(text, "contact")


PHONES = (
    "+44 20 7946 0958",
    "+1 (415) 555-2671",
    "+4915112345678",
    "0049 151 12345678",
    "(415) 555-2671",
    "415-555-2671",
    "415.555.2671",
    "1-415-555-2671",
    "415-555-2671 x123",
    "(212)5550187",
    "020 7946 0958",
    "0151 12345678",
    "030/1234567",
    "01 23 45 67 89",
    "06-12345678",
    "(030) 1234 5678",
)
NO_PHONES = (
    "order number 1234567890",
    "invoice 20240115001",
    "in 1999-2000 and 2001-2002",
    "2024-01-15 10:30:00",
    "15.01.2024",
    "3.14159265358979",
    "0.123456789",
    "192.168.100.200",
    "version 10.15.7.1234567",
    "ISBN 978-3-16-148410-0",
    "x = [1000000, 2000000, 3000000]",
    "the population is 1 234 567 890",
    "id 550e8400-e29b-41d4-a716-446655440000",
    "call the function with 3 arguments and 100 200 iterations",
    "1,234,567.89",
    "DE89 3704 0044 0532 0130 00",
    "tracking 1Z999AA10123456784",
    "timestamp 1700000000",
    "my order #123-4567890-1234567",
    "zip 94103-1234",
    "lottery numbers 4 8 15 16 23 42",
    "MAC 00:1A:2B:3C:4D:5E",
)


@pytest.mark.parametrize("number", PHONES)
@pytest.mark.parametrize("text", ["{}", "My number is {}.", "Ring\n{}\ntoday", "({})", "Tel:{}"])
def test_a_telephone_number_is_found_wherever_it_stands(number, text):
    assert "phone" in labels(text.format(number), "contact")


@pytest.mark.parametrize(
    "text", ["call 5551234", "text me on 555 1234", "my work number is 78 651 450", "5551234567 cell", "mobile: 5551234567"]
)
def test_a_word_beside_it_makes_a_bare_number_a_telephone_number(text):
    assert "phone" in labels(text, "contact")


@pytest.mark.parametrize("text", NO_PHONES)
def test_other_numbers_are_no_telephone_numbers(text):
    assert labels(text, "contact") == set()


CARDS = (
    luhn("492912345678901"),
    luhn("555512345678901"),
    luhn("222112345678901"),
    luhn("34123456789012"),
    luhn("601112345678901"),
    luhn("3612345678901"),
    CARD,
    CARD.replace(" ", "-"),
    " ".join(CARD.replace(" ", "")),
    "-".join(CARD.replace(" ", "")),
    CARD.replace(" ", "\u200b"),
    CARD.replace(" ", "\u00a0"),
    wide(CARD),
    "".join(chr(0x0660 + int(c)) for c in CARD if c != " "),
)


@pytest.mark.parametrize("number", CARDS)
@pytest.mark.parametrize("text", ["{}", "pay with {} now", "12 {} 7", "card:{},", "no. 4 {}"])
def test_a_card_is_found_however_it_is_written(number, text):
    assert ("credit_card", number) in found(text.format(number), "payment")


@pytest.mark.parametrize(
    "text",
    [
        CARD[:-1] + "6",
        "1234567890123456",
        "0000 0000 0000 0000",
        "0.4929123456789015",
        "order 1020304050607080",
        "1700000000000",
        "f3d4929123456789015a",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18",
    ],
)
def test_a_number_without_prefix_or_check_digit_is_no_card(text):
    assert "credit_card" not in labels(text, "payment")


@pytest.mark.parametrize("text", ["cvv 123", "CVC: 1234", "security code is 987", "cvv2=321"])
def test_a_security_code_is_found_by_its_name(text):
    assert "card_cvv" in labels(text, "payment")


IBANS = (
    iban("DE", "370400440532013000"),
    iban("GB", "NWBK60161331926819"),
    iban("NO", "86011117947"),
    iban("FR", "20041010050500013M02606"),
)


@pytest.mark.parametrize("number", [*IBANS, *(" ".join(n[i : i + 4] for i in range(0, len(n), 4)) for n in IBANS), IBANS[0].lower()])
@pytest.mark.parametrize("text", ["{}", "IBAN {} thanks", "to {}. Then", "{} 12 AB"])
def test_an_iban_is_found_up_to_its_last_character(number, text):
    assert ("iban", number) in found(text.format(number), "payment")


def test_a_wrong_iban_is_none():
    assert "iban" not in labels("DE00370400440532013000 and GB82TEST12345698765432", "payment")


IDS = (
    ("us_ssn", "123-45-6789"),
    ("us_ssn", "ssn 123456789"),
    ("us_ssn", "social security number: 123 45 6789"),
    ("us_ssn", "SSN 1 2 3 4 5 6 7 8 9"),
    ("tax_id", "912-70-1234"),
    ("national_id", "AB 12 34 56 C"),
    ("national_id", "ab123456c"),
    ("national_id", "DNI 12345678Z"),
    ("national_id", "NIE X1234567L"),
    ("tax_id", "RSSMRA85T10A562S"),
    ("national_id", "1 84 12 76 451 089 46"),
    ("national_id", "11010519491231002X"),
    ("tax_id", "529.982.247-25"),
    ("national_id", "Aadhaar 2345 6789 0124"),
    ("national_id", "NHS number 943 476 5919"),
    ("national_id", "PESEL 44051401359"),
    ("national_id", "BSN 111222333"),
    ("tax_id", "my SIN is 046 454 286"),
    ("tax_id", "TFN 123 456 782"),
    ("tax_id", "Steuer-ID 86 095 742 719"),
    ("national_id", "personnummer 811218-9876"),
    ("passport", "passport number X1234567"),
    ("passport", "my passport no. is 533401234"),
    ("driver_license", "driver's license number is D1234567"),
    ("tax_id", "tax id: 12-3456789"),
)


@pytest.mark.parametrize(("label", "text"), IDS)
def test_an_official_number_is_found(label, text):
    assert label in labels(text, "identity")


@pytest.mark.parametrize(
    "text",
    [
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-4567",
        "123-45-0000",
        "part 123456789",
        "GB 12 34 56 C",
        "12345678A",
        "529.982.247-26",
        "NHS number 943 476 5918",
        "my passport expires in 2027",
        "renew my driver's license",
        "tin weighs 7280 kg per cubic metre",
        "the ssn field is empty",
        "phone 123-456-7890",
        "1 2 3 4 5 6 7 8 9 10",
    ],
)
def test_a_number_outside_the_rules_is_no_official_number(text):
    assert labels(text, "identity") == set()


STRUCTURED = ("jane.doe@example.com", CARD, IBANS[0], "123-45-6789", "+44 20 7946 0958", "529.982.247-25")


@settings(deadline=None)  # a loaded machine is no failure
@given(before=st.text(max_size=40), after=st.text(max_size=40), number=st.sampled_from(STRUCTURED))
def test_words_around_a_structured_identifier_never_hide_it(before, after, number):
    # The neighbours are set off by words: a digit directly beside a number makes it another number.
    assert any(words == number for _, words in found(f"{before} it is\n{number}\nand {after}"))
