"""The one table from what was found to what it means for a policy: finding label, data label, least sensitivity, mask."""

from __future__ import annotations

from typing import NamedTuple

# From harmless to most protected, as the policy vocabulary orders them.
LEVELS = ("public", "internal", "confidential", "special")


class Meaning(NamedTuple):
    """What a finding means: the data label of the policy vocabulary, the least sensitivity and what stands for it when masked.

    One that is no reason by itself (a first name, a town, an age, the address of a shop) makes its label present only where
    a combination rule says so; it is masked with its label all the same.
    """

    data: str
    level: str
    mask: str
    is_reason: bool = True


MEANINGS = {
    "person": Meaning("name", "internal", "[NAME]", is_reason=False),
    "organization": Meaning("employee", "confidential", "[ORGANIZATION]", is_reason=False),
    "email": Meaning("contact", "internal", "[EMAIL]"),
    "phone": Meaning("contact", "internal", "[PHONE]"),
    "username": Meaning("contact", "internal", "[USER]"),
    "address": Meaning("address", "confidential", "[ADDRESS]", is_reason=False),
    "postcode": Meaning("address", "confidential", "[POSTCODE]", is_reason=False),
    "location": Meaning("location", "confidential", "[PLACE]", is_reason=False),
    "geo_coordinates": Meaning("location", "confidential", "[COORDINATES]"),
    "date_of_birth": Meaning("dates", "internal", "[DATE]"),
    "age": Meaning("dates", "internal", "[AGE]", is_reason=False),
    "credit_card": Meaning("payment_card", "confidential", "[CARD]"),
    "card_cvv": Meaning("card_security", "confidential", "[CVV]"),
    "card_track": Meaning("card_security", "confidential", "[CARD]"),
    "iban": Meaning("bank_account", "confidential", "[IBAN]"),
    "bank_account": Meaning("bank_account", "confidential", "[ACCOUNT]"),
    "crypto_wallet": Meaning("bank_account", "confidential", "[WALLET]"),
    "us_ssn": Meaning("government_id", "confidential", "[SSN]"),
    "national_id": Meaning("government_id", "confidential", "[ID]"),
    "tax_id": Meaning("government_id", "confidential", "[TAX_ID]"),
    "passport": Meaning("government_id", "confidential", "[PASSPORT]"),
    "driver_license": Meaning("government_id", "confidential", "[LICENSE]"),
    "ip_address": Meaning("online_id", "internal", "[IP]"),
    "mac_address": Meaning("online_id", "internal", "[MAC]"),
    "device_id": Meaning("online_id", "internal", "[DEVICE]"),
    "url": Meaning("online_id", "internal", "[URL]", is_reason=False),
    "vin": Meaning("vehicle_id", "internal", "[VIN]"),
    "license_plate": Meaning("vehicle_id", "internal", "[PLATE]"),
    "employee_id": Meaning("employee", "confidential", "[STAFF_ID]"),
    "medical_record_number": Meaning("mrn", "special", "[RECORD]"),
    "health_plan_number": Meaning("mrn", "special", "[PLAN]"),
    "api_key": Meaning("credential", "confidential", "[API_KEY]"),
    "private_key": Meaning("credential", "confidential", "[PRIVATE_KEY]"),
    "jwt": Meaning("credential", "confidential", "[TOKEN]"),
    "password": Meaning("credential", "confidential", "[PASSWORD]"),
    "connection_string": Meaning("credential", "confidential", "[PASSWORD]"),
    "health": Meaning("health", "special", "[HEALTH]"),
    # Statements about a person; each is a sentence.
    "genetic": Meaning("genetic", "special", "[GENETIC]"),
    "biometric": Meaning("biometric", "special", "[BIOMETRIC]"),
    "ethnicity": Meaning("ethnicity", "special", "[ETHNICITY]"),
    "politics": Meaning("politics", "special", "[POLITICS]"),
    "religion": Meaning("religion", "special", "[RELIGION]"),
    "union": Meaning("union", "special", "[UNION]"),
    "sex_life": Meaning("sex_life", "special", "[SEX_LIFE]"),
    "criminal": Meaning("criminal", "special", "[CRIMINAL]"),
    "substance_use": Meaning("substance_use", "special", "[SUBSTANCE]"),
    "psychotherapy_notes": Meaning("psychotherapy_notes", "special", "[THERAPY]"),
    "child": Meaning("child", "confidential", "[CHILD]"),
    "student": Meaning("student", "confidential", "[STUDENT]"),
    "employee": Meaning("employee", "confidential", "[STAFF]"),
    "financial": Meaning("financial", "confidential", "[MONEY]"),
    "legal_privilege": Meaning("legal_privilege", "confidential", "[LEGAL]"),
    # Findings that a rule of `combine.py` lifts, or whose own words say that they are a private person's.
    "private_person": Meaning("name", "internal", "[NAME]"),
    "home_address": Meaning("address", "confidential", "[ADDRESS]"),
    "personal_date": Meaning("dates", "internal", "[AGE]"),
    "phi": Meaning("phi", "special", "[PATIENT]"),
}

# What a finding is that a combination lifted, without what it means: a private person is a person.
PLAIN = {"private_person": "person", "home_address": "address", "personal_date": "age"}
