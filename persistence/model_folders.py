"""Folders of models that the page may open: any of this machine, those below one, or none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from concept_fragmentation.analysis.errors import ModelUnavailableError

# What transformers writes beside every model.
CONFIGURATION: Final = "config.json"
MOST_LISTED: Final = 200
_LONGEST_NAME: Final = 120


@dataclass(frozen=True)
class ModelFolders:
    """Rules for which folders of models may be opened.

    Attributes:
        any_folder: whether any folder of this machine may, for a person who works on it.
        below: the folder whose folders are offered by name; None offers none.
    """

    any_folder: bool = False
    below: Path | None = None

    def names(self) -> list[str]:
        """Return the names of the folders that are offered, such as `small` or `team/small`."""
        if self.below is None:
            return []
        found: list[str] = []
        for pattern in (f"*/{CONFIGURATION}", f"*/*/{CONFIGURATION}"):
            for file in sorted(self.below.glob(pattern)):
                name = file.parent.relative_to(self.below).as_posix()
                if self._is_inside(file.parent) and len(found) < MOST_LISTED:
                    found.append(name)
        return sorted(found)

    def offered(self, name: str) -> Path:
        """Return the folder that is offered under a name.

        Raises:
            ModelUnavailableError: none is.
        """
        folder = None if self.below is None else self.below / name
        if folder is None or not self._is_inside(folder) or not (folder / CONFIGURATION).is_file():
            raise ModelUnavailableError(
                f"No model is offered as {name!r} any more; reload the page and choose another."
            )
        return folder.resolve()

    def named(self, text: str) -> str:
        """Return the model that a person named: a name on the hub, or the path of a folder.

        Raises:
            ModelUnavailableError: it names a folder that may not be opened or holds no model.
        """
        if "\0" in text:
            raise ModelUnavailableError("A null character is no part of a model's name.")
        try:
            folder = Path(text).expanduser()
            is_there, is_folder = folder.exists(), folder.is_dir()
        # A name that is too long, a folder that may not be entered, a user that is not there.
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or str(error).rstrip(".")
            raise ModelUnavailableError(
                f"{text[:_LONGEST_NAME]!r} is no model ({reason}); give the path of a folder with "
                "a model, or the name of a model on the hub."
            ) from error
        if not self.any_folder:
            # What is a folder here would be opened instead of the model on the hub.
            if _is_path(text) or is_there:
                raise ModelUnavailableError(
                    f"{text!r} is a folder of the server, which is opened for who works on its "
                    "machine only. Name a model on the hub, such as EleutherAI/pythia-70m; folders "
                    "below 'serve --models DIR' are offered to all."
                )
            return text
        if not _is_path(text) and not is_folder:
            return text
        if not is_folder:
            raise ModelUnavailableError(
                f"There is no folder {str(folder.absolute())!r}; give one with a model, or the "
                "name of a model on the hub."
            )
        if not (folder / CONFIGURATION).is_file():
            raise ModelUnavailableError(
                f"There is no model in the folder {str(folder.resolve())!r}: it has no "
                f"{CONFIGURATION}. Give a folder that save_pretrained of transformers wrote."
            )
        return str(folder.resolve())

    def _is_inside(self, folder: Path) -> bool:
        """Whether the folder and all files in it lie below the one whose folders are offered."""
        if self.below is None:
            return False
        below = self.below.resolve()
        try:
            parts = [folder, *folder.iterdir()]
        # A null character is no part of a path.
        except (OSError, ValueError):
            return False
        return below != folder.resolve() and all(
            part.resolve().is_relative_to(below) for part in parts
        )


def _is_path(text: str) -> bool:
    """Whether a text can only be a path: names on the hub have at most one slash, and no dots."""
    return (
        text.startswith((".", "~", "/", "\\"))
        or text.count("/") > 1
        or "\\" in text
        or Path(text).is_absolute()
        or ".." in text
    )
