"""What a list of analyses can be narrowed by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from concept_fragmentation.analysis.choices import as_whole_number
from concept_fragmentation.analysis.errors import InvalidDataError

# A pasted page is no search: each of its words would be looked up, which takes seconds.
MAX_SEARCH: Final = 10_000
MAX_SEARCH_WORDS: Final = 32

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True)
class Filters:
    """Every filter of `list_analyses`; None filters nothing. See there for what each means.

    Raises:
        InvalidDataError: a filter is of the wrong type or out of range; every problem is listed.
    """

    model_name: str | None = None
    search: str | None = None
    tag: str | None = None
    name_prefix: str | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None
    min_layers: int | None = None
    max_layers: int | None = None
    since: datetime | date | str | None = None
    until: datetime | date | str | None = None
    limit: int | None = None
    offset: int = 0

    def __post_init__(self) -> None:
        """Check every filter."""
        problems = []
        for what in ("model_name", "search", "tag", "name_prefix"):
            value = getattr(self, what)
            if value is not None and not isinstance(value, str):
                problems.append(f"{what}: a string is needed, not {type(value).__name__}")
            elif (
                value is not None and what in {"search", "name_prefix"} and len(value) > MAX_SEARCH
            ):
                problems.append(f"{what}: more than {MAX_SEARCH:,} characters")
        if isinstance(self.search, str) and len(set(self.search.split())) > MAX_SEARCH_WORDS:
            problems.append(f"search: more than {MAX_SEARCH_WORDS} words; a few find as well")
        for what in ("min_tokens", "max_tokens", "min_layers", "max_layers", "limit", "offset"):
            value = getattr(self, what)
            if value is None and what != "offset":
                continue
            number = as_whole_number(value)
            if number is None or number < 0:
                problems.append(f"{what}: a whole number from 0 is needed, not {value!r}")
            else:
                # More than any store holds, and than SQLite's numbers.
                object.__setattr__(self, what, min(number, _LARGEST))
        for what in ("since", "until"):
            try:
                _moment(getattr(self, what), last=False)
            except (TypeError, ValueError):
                problems.append(
                    f"{what}: a date, a time or its ISO 8601 text, such as 2026-01-31 or "
                    f"2026-01-31T12:00:00Z, is needed, not {getattr(self, what)!r}"
                )
        if problems:
            raise InvalidDataError(problems)

    @property
    def first_moment(self) -> int | None:
        """`since` in microseconds, see `microseconds`."""
        return _moment(self.since, last=False)

    @property
    def last_moment(self) -> int | None:
        """`until` in microseconds: of a date alone, its last one."""
        return _moment(self.until, last=True)


def microseconds(moment: datetime) -> int:
    """Microseconds from 1970 to `moment`; one without a time zone is in UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def _moment(value: datetime | date | str | None, *, last: bool) -> int | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            value = datetime.fromisoformat(value)  # type: ignore[arg-type]
    if not isinstance(value, date):
        raise TypeError(f"not a date: {value!r}")
    if not isinstance(value, datetime):
        value = datetime.combine(value, time.max if last else time.min)
    return microseconds(value)
