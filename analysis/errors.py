"""What can be wrong with data; the base class of every error of the project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

_MOST_SAID: Final = 100


class ConceptFragmentationError(Exception):
    """Base class of every error that the project raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it as it is: a pool of processes hands errors on, and made anew from its sentence
        alone one would lose what else it says, or be none at all.
        """
        return _as_it_was, (type(self), self.args, self.__dict__)


def _as_it_was(
    kind: type[ConceptFragmentationError], args: tuple[object, ...], said: Mapping[str, Any]
) -> ConceptFragmentationError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(said)
    return error


class InvalidDataError(ConceptFragmentationError, ValueError):
    """Data that is inconsistent or can't be kept; `.problems` lists all that is wrong by path."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep every problem; the message lists them all, unless nobody would read so many."""
        self.problems = tuple(problems)
        said = list(self.problems[:_MOST_SAID])
        if len(said) < len(self.problems):
            said.append(f"and {len(self.problems) - len(said):,} more")
        super().__init__("Invalid data: " + "; ".join(said) + ".")


class UnknownChoiceError(InvalidDataError, LookupError):
    """Raised for a layer, cluster, token or option that is not there; the message lists what is."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        """Keep what was asked for in vain; the message blames that, and not the data."""
        found = [problems] if isinstance(problems, str) else list(problems)
        super().__init__(found)
        said = "; ".join(found)
        self.args = (said if said.endswith("?") else f"{said}.",)


class DifferentSizesError(InvalidDataError):
    """Raised where a figure that depends on the number of tokens is compared across numbers."""

    def __init__(self, before: int, after: int) -> None:
        """Keep the two numbers, `.before` and `.after`."""
        super().__init__([f"fragmentation: of {before:,} and {after:,} tokens"])
        self.before, self.after = before, after
        self.args = (
            f"Fragmentation depends on the number of tokens, and {before:,} does not compare with "
            f"{after:,}; give num_tokens={min(before, after)} to rarefy both to a common number.",
        )


class InvalidAnalysisError(InvalidDataError):
    """An analysis dict that contradicts itself."""


class MissingExtraError(ConceptFragmentationError, ImportError):
    """What running a language model, or UMAP, needs is not installed."""


class ReadAloneWarning(UserWarning):
    """Words of a list are read at the first position, where a model holds little of a token."""


class ModelUnavailableError(ConceptFragmentationError, LookupError):
    """A language model can't be had, or is none that can be analysed."""
