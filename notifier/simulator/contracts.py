"""The differences between the two contracts of X's API that are in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Contract(StrEnum):
    """``current`` is 2.167, ``legacy`` is 2.166."""

    CURRENT = "current"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One contract: the version, the base URL of problem types, and the fields that may be requested."""

    version: str
    problem_base: str
    space_fields: tuple[str, ...]
    user_fields: tuple[str, ...]


EXPANSIONS: Final = ("creator_id", "host_ids", "invited_user_ids", "speaker_ids", "topic_ids")
TOPIC_FIELDS: Final = ("description", "id", "name")

_PLAIN_SPACE_FIELDS: Final = (
    "created_at",
    "ended_at",
    "id",
    "is_ticketed",
    "lang",
    "participant_count",
    "scheduled_start",
    "started_at",
    "state",
    "subscriber_count",
    "title",
    "updated_at",
)
_SHARED_USER_FIELDS: Final = (
    "confirmed_email",
    "connection_status",
    "created_at",
    "description",
    "entities",
    "id",
    "is_identity_verified",
    "location",
    "name",
    "parody",
    "profile_banner_url",
    "profile_image_url",
    "protected",
    "public_metrics",
    "receives_your_dm",
    "subscription",
    "subscription_type",
    "url",
    "username",
    "verified",
    "verified_followers_count",
    "verified_type",
    "withheld",
)

DIALECTS: Final[Mapping[Contract, Dialect]] = MappingProxyType(
    {
        Contract.CURRENT: Dialect(
            version="2.167",
            problem_base="https://api.x.com/2/problems/",
            space_fields=_PLAIN_SPACE_FIELDS,
            user_fields=tuple(sorted((*_SHARED_USER_FIELDS, "subscribes_to_you"))),
        ),
        Contract.LEGACY: Dialect(
            version="2.166",
            problem_base="https://api.twitter.com/2/problems/",
            space_fields=tuple(sorted((*_PLAIN_SPACE_FIELDS, *EXPANSIONS))),
            user_fields=tuple(
                sorted((*_SHARED_USER_FIELDS, "affiliation", "most_recent_tweet_id", "pinned_tweet_id"))
            ),
        ),
    }
)
