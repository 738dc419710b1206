"""The one table from what was found to what it means for a policy: finding label, data label, least sensitivity, mask."""

from __future__ import annotations

from typing import NamedTuple

# From harmless to most protected, as the policy vocabulary orders them.
LEVELS = ("public", "internal", "confidential", "special")


class Meaning(NamedTuple):
    """What a finding means: the data label of the policy vocabulary, the least sensitivity and what stands for it when masked."""

    data: str
    level: str
    mask: str


MEANINGS = {
    "email": Meaning("contact", "internal", "[EMAIL]"),
    "phone": Meaning("contact", "internal", "[PHONE]"),
    "credit_card": Meaning("payment_card", "confidential", "[CARD]"),
    "card_cvv": Meaning("card_security", "confidential", "[CVV]"),
    "card_track": Meaning("card_security", "confidential", "[CARD]"),
    "iban": Meaning("bank_account", "confidential", "[IBAN]"),
    "bank_account": Meaning("bank_account", "confidential", "[ACCOUNT]"),
    "us_ssn": Meaning("government_id", "confidential", "[SSN]"),
    "national_id": Meaning("government_id", "confidential", "[ID]"),
    "tax_id": Meaning("government_id", "confidential", "[TAX_ID]"),
    "passport": Meaning("government_id", "confidential", "[PASSPORT]"),
    "driver_license": Meaning("government_id", "confidential", "[LICENSE]"),
    "api_key": Meaning("credential", "confidential", "[API_KEY]"),
    "private_key": Meaning("credential", "confidential", "[PRIVATE_KEY]"),
    "jwt": Meaning("credential", "confidential", "[TOKEN]"),
    "password": Meaning("credential", "confidential", "[PASSWORD]"),
    "connection_string": Meaning("credential", "confidential", "[PASSWORD]"),
    "health": Meaning("health", "special", "[HEALTH]"),
}
