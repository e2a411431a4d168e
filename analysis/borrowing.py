"""A model that the caller has in memory: run it, and hand it back as it was."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from concept_fragmentation.analysis.extra import need

# What torch keeps of a module in containers that a run may change: buffers of positions that are
# computed anew for a longer text, and the hooks by which transformers records outputs.
_CONTAINERS: Final = (
    "_buffers",
    "_forward_hooks",
    "_forward_hooks_always_called",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)


@contextmanager
def given_back(model: Any) -> Iterator[None]:
    """Put a `torch.nn.Module` back as it was when the context ends, after an error too.

    That is: the mode of every module, hooks, buffers, everything else a module holds as a plain
    attribute, and the configurations with what they hold of attention. Parameters are not copied,
    since running a model does not change them, with one exception that is undone: RWKV divides some
    of its weights by powers of two before its first run in evaluation mode.
    """
    modules = [
        (
            module,
            dict(vars(module)),
            {name: vars(module)[name].copy() for name in _CONTAINERS if name in vars(module)},
        )
        for module in model.modules()
    ]
    configs = [(config, dict(vars(config))) for config in _configs(model)]
    try:
        yield
    finally:
        for module, attributes, containers in modules:
            if getattr(module, "layers_are_rescaled", None) and not attributes.get(
                "layers_are_rescaled"
            ):
                module.training = True
                module._rescale_layers()
            vars(module).clear()
            vars(module).update(attributes)
            for name, contents in containers.items():
                attributes[name].clear()
                attributes[name].update(contents)
        for config, attributes in configs:
            vars(config).clear()
            vars(config).update(attributes)


@contextmanager
def drawing_apart(seed: int) -> Iterator[None]:
    """Let a model that draws at random do so from a seed, without touching the caller's draws."""
    torch = need("torch")
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)


def configurations(config: Any) -> list[Any]:
    """Return a configuration of transformers and all that are nested in it, each once."""
    found: list[Any] = []
    waiting = [config]
    while waiting:
        current = waiting.pop()
        if current is None or any(current is known for known in found):
            continue
        found.append(current)
        waiting += [getattr(current, name, None) for name in getattr(current, "sub_configs", {})]
    return found


def _configs(model: Any) -> list[Any]:
    transformers = need("transformers")
    found: list[Any] = []
    for module in model.modules():
        config = vars(module).get("config")
        if isinstance(config, transformers.PreTrainedConfig):
            found += [
                one for one in configurations(config) if not any(one is known for known in found)
            ]
    return found
