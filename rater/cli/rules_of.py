"""The rules' settings of the file that a command reads: a store keeps its own, a replica has its deployment's."""

from rater.core import RatingSettings
from rater.embedded.replicas import form_of
from rater.embedded.store import Reader
from rater.embedded.store_settings import kept_settings
from rater.kafka.settings import rating_of_environment


def settings_of(reader: Reader) -> RatingSettings:
    """By what its calls are rated; RaterError names a variable with a wrong value."""
    return kept_settings(reader) if form_of(reader.connection) is None else rating_of_environment()
