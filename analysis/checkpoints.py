"""Checkpoints in a folder or on the hub, and whether they are whole, before they are loaded."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from concept_fragmentation.analysis.decoders import first_line
from concept_fragmentation.analysis.errors import ModelUnavailableError
from concept_fragmentation.analysis.extra import need

# How long the hub has to answer at all, where HF_HUB_ETAG_TIMEOUT says nothing else.
HUB_SECONDS: Final = 1.5

# A way out that not everybody has: a page that others reach opens no folders.
A_FOLDER: Final = "give the path of a local folder, "

_WEIGHTS: Final = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_POINTER: Final = b"version https://git-lfs.github.com/spec/"
# Names that say nothing of a model; their folder does.
_PLAIN_NAMES: Final = re.compile(
    r"(model|models|hf|hf_model|checkpoints?|best|final|last|latest|outputs?|weights|snapshots?)"
    r"|checkpoint-\d+|(epoch|step)[-_]?\d+|[0-9a-f]{40}|\d+",
    re.IGNORECASE,
)
_CACHED: Final = re.compile(r"models--(?P<name>.+)/snapshots/[^/]+/?$")
# What torch.compile, DistributedDataParallel, PEFT and Lightning put before the names of weights.
_WRAPPERS: Final = {
    "_orig_mod.": "from a compiled model; save its _orig_mod instead",
    "module.": "from a model in DistributedDataParallel; save its module instead",
    "base_model.model.": "from a model of PEFT; save what merge_and_unload() gives instead",
    "model.model.": "from within another module; save the model itself",
}
_NAMED: Final = 3
_LONGEST_NAME: Final = 120


@dataclass(frozen=True)
class Checkpoint:
    """Location of a checkpoint, as `from_pretrained` of transformers takes it.

    Attributes:
        name: what it was asked for by.
        place: a folder, or a name on the hub.
        is_local: whether it is a folder.
        options: arguments of `from_pretrained`. Code that comes with a checkpoint is never run.
    """

    name: str
    place: str
    is_local: bool
    options: Mapping[str, Any]

    @property
    def revision(self) -> str | None:
        """The commit on the hub, where it is known."""
        found = self.options.get("revision")
        return None if found is None else str(found)


def find_checkpoint(name: str, revision: str | None, *, is_path: bool) -> Checkpoint:
    """Find a checkpoint, in a folder or on the hub.

    Whether the hub can be reached is asked once, for at most `HUB_SECONDS`; otherwise what its
    client has in the cache is used, without asking again for each file.

    Raises:
        ModelUnavailableError: there is no such folder, or no such model on the hub or in the cache.
    """
    try:
        folder = Path(name).expanduser()
        is_folder, is_file = folder.is_dir(), folder.is_file()
    # A name that is too long, a folder that may not be entered, a user that is not there.
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise ModelUnavailableError(
            f"The model {_shortened(name)} can't be had ({reason or first_line(error)}); give a "
            "folder that save_pretrained of transformers wrote, or a name on the hub such as gpt2."
        ) from error
    if is_folder:
        _check_folder(folder, name)
        return Checkpoint(name, str(folder), True, {"trust_remote_code": False})
    if is_file:
        raise ModelUnavailableError(f"{name!r} is a file; give the folder of the model.")
    if is_path or not _may_be_on_hub(name):
        raise ModelUnavailableError(
            f"The model {_shortened(name)} can't be had (there is no such folder); give a folder "
            "that save_pretrained of transformers wrote, or a name on the hub such as gpt2."
        )
    hub, constants = need("huggingface_hub"), need("huggingface_hub.constants")
    why = ""
    if constants.HF_HUB_OFFLINE:
        why = "HF_HUB_OFFLINE is set, and it is not in the cache"
    elif not _answers(name):
        why = f"{constants.ENDPOINT} can't be reached, and it is not in the cache"
    # The client of the hub alone can say so, seconds before transformers is there.
    if why and not isinstance(
        hub.try_to_load_from_cache(name, "config.json", revision=revision), str
    ):
        raise _missing(name, why)
    options = {"trust_remote_code": False, "local_files_only": bool(why)}
    hubs = need("transformers.utils.hub")
    try:
        config = hubs.cached_file(
            name, "config.json", revision=revision, local_files_only=bool(why)
        )
    # Whatever the client meets: no such name, no access, no connection, no room.
    except Exception as error:
        raise _missing(name, first_line(error)) from error
    if config is None:
        raise _missing(name, "it has no config.json")
    commit = hubs.extract_commit_hash(config, None)
    return Checkpoint(name, name, False, {**options, "revision": commit or revision})


@contextmanager
def loading(checkpoint: Checkpoint) -> Iterator[None]:
    """Turn whatever transformers raises while it loads a checkpoint into one sentence.

    Raises:
        ModelUnavailableError: it can't be loaded.
    """
    try:
        yield
    except ModelUnavailableError:
        raise
    # transformers and tokenizers raise anything for damaged files, `Exception` itself too.
    except Exception as error:
        if "backend tokenizer" in str(error):
            raise unloadable(checkpoint, "its tokenizer has no tokenizer.json") from error
        if "trust_remote_code" in str(error):
            raise ModelUnavailableError(
                f"The model {checkpoint.name!r} needs code of its own (auto_map in its "
                "configuration), which is not run here; choose a model that transformers knows, or "
                "load it yourself and pass the pair (model, tokenizer)."
            ) from error
        raise unloadable(checkpoint, first_line(error)) from error


def unloadable(checkpoint: Checkpoint, reason: str) -> ModelUnavailableError:
    """Return the error that says why a checkpoint can't be loaded."""
    if checkpoint.is_local:
        return _damaged(checkpoint.name, reason)
    return _missing(checkpoint.name, reason)


def check_loaded(
    checkpoint: Checkpoint, info: Mapping[str, Any], prefix: str, ignored: Sequence[str]
) -> None:
    """Refuse a model some of whose weights the checkpoint did not have.

    transformers draws those anew at random, and only reports it.

    Args:
        checkpoint: where it came from.
        info: the loading info of transformers.
        prefix: of the names of the weights of the decoder; others do not matter.
        ignored: weights of the decoder that its hidden states do not depend on.

    Raises:
        ModelUnavailableError: weights are missing, or have other shapes; they are named.
    """
    unexpected = sorted(info["unexpected_keys"])
    missing = sorted(
        key for key in info["missing_keys"] if key.startswith(prefix) and key not in ignored
    )
    wrong = [
        f"{key} {tuple(found)} instead of {tuple(needed)}"
        for key, found, needed in sorted(info["mismatched_keys"])
        if key.startswith(prefix)
    ]
    if not missing and not wrong:
        return
    if wrong:
        reason = f"{len(wrong):,} of its weights have other shapes: {_some(wrong)}"
    else:
        reason = f"{len(missing):,} of its weights are not in it: {_some(missing)}"
    for wrapper, origin in _WRAPPERS.items():
        if unexpected and all(key.startswith(wrapper) for key in unexpected):
            reason += f"; all names in it begin with {wrapper!r}, {origin}"
            break
    else:
        if missing and unexpected:
            reason += f"; it has others instead: {_some(unexpected)}"
    raise unloadable(checkpoint, reason)


def check_tokenizer(checkpoint: Checkpoint, tokenizer: Any) -> None:
    """Refuse the empty tokenizer that transformers makes where there are no files of one.

    Raises:
        ModelUnavailableError: there is no vocabulary.
    """
    names = dict(getattr(tokenizer, "vocab_files_names", None) or {})
    ordinary = set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)
    without = len(ordinary) <= 1
    if checkpoint.is_local and names:
        files = {path.name for path in Path(checkpoint.place).iterdir()}
        needed = {file for kind, file in names.items() if kind != "tokenizer_file"}
        if "tokenizer.json" not in files and not needed & files:
            without = without or not any(
                name.endswith((".model", ".tiktoken", "tekken.json")) for name in files
            )
        elif "tokenizer.json" not in files and "merges.txt" in needed - files:
            raise unloadable(checkpoint, "its tokenizer has vocab.json and no merges.txt")
    if without:
        raise unloadable(checkpoint, "it has no tokenizer")


def folder_label(folder: Path, config: Any) -> str:
    """Name the model in a folder by the folder, and by the configuration where that says more.

    >>> from types import SimpleNamespace
    >>> folder_label(Path("/x/gpt2-finetuned/model"), SimpleNamespace(model_type="gpt2"))
    'gpt2-finetuned/model'
    >>> folder_label(Path("/x/run 7"), SimpleNamespace(model_type="gpt2"))
    'gpt2 (run 7)'

    Args:
        folder: an absolute path.
        config: the configuration of transformers.
    """
    if cached := _CACHED.search(folder.as_posix()):
        return cached["name"].replace("--", "/")
    label = folder.name
    if _PLAIN_NAMES.fullmatch(label) and folder.parent.name:
        label = f"{folder.parent.name}/{label}"
    kind = str(getattr(config, "model_type", "") or "")
    known = _alike(kind) in _alike(label)
    return label if known or not kind else f"{kind} ({label})"


def _alike(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _check_folder(folder: Path, name: str) -> None:
    """Read what tells that a folder is no whole model, so that it is named as what it is."""
    try:
        files = {path.name: path for path in folder.iterdir() if path.is_file()}
        if "adapter_config.json" in files:
            raise _damaged(
                name,
                "it is an adapter of PEFT; save what merge_and_unload() gives of the whole model",
            )
        if "config.json" not in files:
            raise _damaged(name, "it has no config.json")
        _check_file(files["config.json"], name)
        config = _read_json(files["config.json"], name)
        if "model_type" not in config and not config.get("architectures"):
            raise _damaged(name, "its config.json names no model_type")
        weights = next((files[file] for file in _WEIGHTS if file in files), None)
        if weights is None:
            raise _damaged(name, "it has no weights: neither model.safetensors nor others")
        _check_file(weights, name)
        if weights.name.endswith(".index.json"):
            _check_shards(weights, folder, name)
        for path in _tokenizer_files(files):
            _check_file(path, name)
            if path.suffix == ".json":
                _read_json(path, name)
    except OSError as error:
        shown = Path(error.filename).name if error.filename else folder.name
        raise _damaged(name, f"{shown}: {error.strerror}") from error


def _tokenizer_files(files: Mapping[str, Path]) -> list[Path]:
    """The files that the tokenizer of a folder is made of; others may be there unread."""
    beside = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
    found = [files[name] for name in beside if name in files]
    if "tokenizer.json" in files:
        return [files["tokenizer.json"], *found]
    return found + [
        path
        for name, path in files.items()
        if path.suffix in (".model", ".tiktoken") or name in ("vocab.json", "vocab.txt")
    ]


def _check_file(path: Path, name: str) -> None:
    with path.open("rb") as file:
        begin = file.read(len(_POINTER))
    if not begin:
        raise _damaged(name, f"{path.name} is empty")
    if begin == _POINTER:
        raise _damaged(
            name,
            f"{path.name} is a pointer of Git LFS instead of the file; run 'git lfs pull' in it",
        )
    if path.suffix == ".safetensors":
        _check_safetensors(path, name)


def _check_safetensors(path: Path, name: str) -> None:
    safetensors = need("safetensors")
    try:
        with safetensors.safe_open(path, framework="pt"):
            pass
    except safetensors.SafetensorError as error:
        raise _damaged(
            name, f"{path.name} is cut off or damaged: {first_line(error)}; copy it again"
        ) from error


def _check_shards(index: Path, folder: Path, name: str) -> None:
    shards = _read_json(index, name).get("weight_map")
    if not isinstance(shards, dict):
        raise _damaged(name, f"{index.name} has no weight_map")
    for shard in sorted(set(map(str, shards.values()))):
        if not (folder / shard).is_file():
            raise _damaged(name, f"{index.name} names {shard}, which is not there")
        _check_file(folder / shard, name)


def _read_json(path: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise _damaged(name, f"{path.name} is cut off or no JSON: {first_line(error)}") from error
    if not isinstance(found, dict):
        raise _damaged(name, f"{path.name} is no object of JSON")
    return found


def _shortened(name: str) -> str:
    return repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…")


def _may_be_on_hub(name: str) -> bool:
    try:
        need("huggingface_hub.utils").validate_repo_id(name)
    except need("huggingface_hub.errors").HFValidationError:
        return False
    return True


def _answers(name: str) -> bool:
    """Ask the hub for a file of the model; any answer is one."""
    hub, utils = need("huggingface_hub"), need("huggingface_hub.utils")
    said = threading.Event()
    waits = os.environ.get("HF_HUB_ETAG_TIMEOUT")
    constants = need("huggingface_hub.constants")
    seconds = float(constants.HF_HUB_ETAG_TIMEOUT) if waits else HUB_SECONDS

    def ask() -> None:
        try:
            utils.get_session().head(hub.hf_hub_url(name, "config.json"), timeout=seconds)
        except Exception:  # noqa: BLE001 - no address, no route, no certificate: it can't be reached
            return
        else:
            said.set()
        finally:
            done.set()

    # A name that no server resolves can take far longer than any timeout of a request.
    done = threading.Event()
    threading.Thread(target=ask, daemon=True).start()
    done.wait(seconds)
    return said.is_set()


def _damaged(name: str, reason: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"The model in the folder {name!r} can't be loaded ({reason}); give a folder that "
        "save_pretrained of transformers wrote, with its tokenizer."
    )


def _missing(name: str, reason: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"The model {name!r} can't be had ({reason}). Check the name and the connection, unset "
        f"HF_HUB_OFFLINE if it is set, {A_FOLDER}or choose the model 'tiny', which ships."
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
