"""The settings of enrich."""

from functions.shared.settings import CollectSettings, Positive
from functions.shared.settings.privacy import PrivacySettings


class EnrichSettings(CollectSettings, PrivacySettings):
    """The settings of enrich: the same limits as collect, the reference data, and what may be stored.

    Without ``schemas_path`` events are held to the schemas that are packed with the function.
    """

    geo_path: str = ""
    schemas_path: str = ""
    measures: str = "amount,price,quantity,duration_ms,value"
    max_attempts: Positive = 5
