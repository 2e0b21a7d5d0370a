"""What of a person is stored: what enrich applies, and the batches with it."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from functions.shared.domain import privacy, visitors
from functions.shared.settings import ConsentSettings, Days

# A shorter secret could be found by trying, from the hash of a value that is known.
_SECRET_CHARACTERS = 16


class PrivacySettings(ConsentSettings):
    """What of a person is stored: of addresses, and of what is declared by path (docs/privacy.md).

    The days are for how long the queue and backups may still hold what was erased; receipts name the date.
    """

    privacy_address: privacy.AddressMode = "kept"
    privacy_visitors: visitors.Mode = "sent"
    privacy_properties: str = ""
    privacy_consent_properties: str = ""
    privacy_secret: Annotated[str, Field(repr=False, validate_default=True)] = ""
    privacy_stream_days: Days = 14
    privacy_backup_days: Days = 30

    @field_validator("privacy_properties", "privacy_consent_properties")
    @classmethod
    def _are_rules(cls, value: str) -> str:
        privacy.parse(value)
        return value

    @field_validator("privacy_secret")
    @classmethod
    def _is_long_enough(cls, value: str, others: ValidationInfo) -> str:
        texts = (others.data.get(name, "") for name in ("privacy_properties", "privacy_consent_properties"))
        rules = [rule for text in texts for rule in privacy.parse(text)]
        if any(rule.action == "hash" for rule in rules) and len(value) < _SECRET_CHARACTERS:
            raise ValueError(f"what is to be hashed needs a secret of {_SECRET_CHARACTERS} characters or more")
        return value

    def redactor(self) -> privacy.Redactor:
        """The rules as they are applied."""
        return privacy.Redactor(
            self.privacy_address,
            privacy.parse(self.privacy_properties),
            self.privacy_secret,
            self.privacy_consent,
            privacy.parse(self.privacy_consent_properties),
        )
