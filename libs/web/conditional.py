"""Whether a reader has an answer already: by its tag, else by its date (RFC 9110, 13.2.2)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

IF_NONE_MATCH, IF_MODIFIED_SINCE = b"if-none-match", b"if-modified-since"
CONDITIONS = frozenset({IF_NONE_MATCH, IF_MODIFIED_SINCE})


def has_tag(if_none_match: str, etag: str) -> bool:
    """Whether the tags sent by a reader name `etag`: weakly (13.1.2), since proxies weaken tags."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag.removeprefix("W/") in tags or "*" in tags


def is_known(
    *, etag: str, modified: datetime | None, if_none_match: str | None, if_modified_since: str | None
) -> bool:
    """Whether 304 is the answer. Where a tag was sent the date isn't looked at."""
    if if_none_match is not None:
        return has_tag(if_none_match, etag)
    if if_modified_since is None or modified is None:
        return False
    try:
        since = parsedate_to_datetime(if_modified_since)
    except ValueError:
        return False
    if since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    return modified.replace(microsecond=0) <= since
