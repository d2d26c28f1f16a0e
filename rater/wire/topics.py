"""The topics' own list: one YAML file each in `topics/`, checked against the code.

Creating and comparing topics is another module's work.
"""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from rater.wire.shipped import shipped

#: Where the list lies.
FOLDER = shipped("topics")


class Topic(BaseModel):
    """One topic.  `retention_hours` is absent where records are kept for ever."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern="^[a-z]+(-[a-z]+)*$")
    purpose: str
    key: str
    partitions: int = Field(ge=1)
    cleanup_policy: Literal["delete", "compact"]
    retention_hours: int | None = Field(default=None, ge=1)
    min_insync_replicas: int = Field(default=2, ge=1)
    timestamps: Literal["writer", "broker"] = Field(default="writer", description="whose clock stamps a record")
    settings: dict[str, str] = Field(default={}, description="further settings of the topic, in Kafka's names")
    record: str | None = Field(default=None, description="the class whose JSON Schema its values have")
    produced_by: tuple[str, ...]
    consumed_by: tuple[str, ...]


def load_topics(folder: Path = FOLDER) -> dict[str, Topic]:
    """Every topic by its name, in order; the file of a topic bears its name."""
    topics = {}
    for path in sorted(folder.glob("*.yaml")):
        topic = Topic.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        assert topic.name == path.stem, f"{path}: expected name {path.stem}, got {topic.name}"
        topics[topic.name] = topic
    return topics
