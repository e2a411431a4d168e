"""Moments, as the store writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """ISO 8601 with microseconds and the offset of UTC; sorts as text."""
    return moment.isoformat(timespec="microseconds")
