"""Mappings: how the records of any switch become call records.

`mapping = load(path_or_preset)`; `mapping.read(bytes_or_chunks)` gives each record's CallRecord, Refusal or
NotSelected with its bytes, `mapping.map_one(raw)` that of one.
"""

from rater.files.mappings.loading import load, preset_file, preset_text, presets
from rater.files.mappings.mapping import Mapped, Mapping
from rater.files.mappings.results import NotSelected

__all__ = ["Mapped", "Mapping", "NotSelected", "load", "preset_file", "preset_text", "presets"]
