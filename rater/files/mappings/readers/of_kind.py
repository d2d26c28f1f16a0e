"""The reader of each kind."""

from rater.files.mappings.readers.base import RecordReader
from rater.files.mappings.readers.blocks import Blocks
from rater.files.mappings.readers.documents import Form, Json
from rater.files.mappings.readers.rows import Rows
from rater.files.mappings.readers.spec import Reader
from rater.files.mappings.readers.xml import Xml


def reader_of_kind(spec: Reader) -> RecordReader:
    """The reader that a mapping names."""
    match spec.kind:
        case "csv":
            return Rows(spec)
        case "json":
            return Json(spec)
        case "form":
            return Form(spec)
        case "xml":
            return Xml(spec)
        case "blocks":
            return Blocks(spec)
