"""What comes from the browser, checked before a callback sees it: anyone can post anything.

A request must be one that this page could make: `check_requests` refuses others. What is in it must
be of the types that the callback's annotations say: `checked` refuses other values. What remains,
such as an id that names nothing, is the callback's to refuse.
"""

from __future__ import annotations

import functools
import inspect
import json
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import flask
import msgspec
from dash import Dash

from concept_fragmentation.analysis.errors import ConceptFragmentationError

# What JavaScript's numbers hold exactly; a page sends no others.
_LARGEST: Final = 2**53
_DEEPEST: Final = 40
# How a pattern says that there may be any number of components.
_MANY: Final = (["ALL"], ["ALLSMALLER"])


class UnreadableRequestError(ConceptFragmentationError, ValueError):
    """A callback was sent what no page of this dashboard sends."""


class CheckedDash(Dash):
    """A Dash whose callbacks are called with what their annotations say, or not at all."""

    def callback(self, *arguments: Any, **options: Any) -> Callable[..., Any]:
        """Connect a callback, as Dash does."""
        connect: Callable[..., Any] = super().callback(*arguments, **options)
        # One in the background gets what it can't be sent, such as a way to tell how far it is.
        if options.get("background"):
            return connect
        return lambda function: connect(checked(function))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a callback that raises UnreadableRequestError where an argument has a wrong type."""
    signature = inspect.signature(function)
    hints = typing.get_type_hints(function)

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        bound = signature.bind(*arguments, **named)
        for name, value in bound.arguments.items():
            bound.arguments[name] = read(value, hints.get(name, Any), name.strip("_"))
        return function(*bound.args, **bound.kwargs)

    return call


def read(value: Any, wanted: Any, name: str) -> Any:
    """Return a value from the browser as the type that is wanted of it.

    Raises UnreadableRequestError where it is none, where a number is no number that a page can
    hold, and where text holds what is no character.
    """
    _check_parts(value, name)
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        raise _unreadable(name, str(error)) from error


def _check_parts(value: Any, name: str, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise _unreadable(name, "it is nested too deep")
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise _unreadable(name, "it holds half a character")
    elif isinstance(value, int):
        if abs(value) > _LARGEST:
            raise _unreadable(name, "it is too large a number")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _unreadable(name, "it is no number")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_parts(key, name, depth + 1)
            _check_parts(item, name, depth + 1)
    elif isinstance(value, Sequence):
        for item in value:
            _check_parts(item, name, depth + 1)


def check_requests(app: Dash) -> None:
    """Refuse requests to the callbacks that are none of a page of this application."""
    server: flask.Flask = app.server
    path = f"{app.config.routes_pathname_prefix}_dash-update-component"

    @server.before_request
    def check() -> flask.Response | None:
        if flask.request.path != path or flask.request.method != "POST":
            return None
        try:
            _check_signatures(flask.request.args)
            _check_body(app.callback_map, flask.request.get_json())
        except (UnreadableRequestError, RecursionError) as error:
            said = "it is nested too deep" if isinstance(error, RecursionError) else error
            return flask.Response(
                f"That is no request of this page: {said}. Reload the page.",
                status=400,
                mimetype="text/plain",
            )
        return None


class _Property(msgspec.Struct):
    """What a request says of one property of a component, but for its value."""

    id: str | dict[str, str | int]
    property: str


class _Body(msgspec.Struct):
    """A request to a callback; of a pattern that stands for many components, a list of them."""

    output: str
    outputs: _Property | list[_Property | list[_Property]] | None = None
    inputs: list[_Property | list[_Property]] = []
    state: list[_Property | list[_Property]] = []
    changedPropIds: list[str] = []  # noqa: N815 - Dash's name


def _check_signatures(arguments: Mapping[str, str]) -> None:
    # Those of jobs in the background, which Dash compares as ASCII.
    if not all(value.isascii() for value in arguments.values()):
        raise UnreadableRequestError("its job has no such name")


def _check_body(callbacks: Mapping[str, Any], sent: Any) -> None:
    try:
        body = msgspec.convert(sent, _Body)
    except msgspec.ValidationError as error:
        raise UnreadableRequestError(str(error)) from error
    callback = callbacks.get(body.output)
    if callback is None or "callback" not in callback:
        raise UnreadableRequestError("there is no such callback")
    if not callback["no_output"]:
        outputs = callback["output"]
        declared = [output.to_dict() for output in _listed(outputs)]
        _check_properties(declared, _listed(body.outputs), "outputs")
    _check_properties(callback["inputs"], body.inputs, "inputs")
    _check_properties(callback["state"], body.state, "states")
    inputs = [part for sent in body.inputs for part in _listed(sent)]
    if not set(body.changedPropIds) <= {_property_id(part) for part in inputs}:
        raise UnreadableRequestError("what changed is no input of the callback")


def _check_properties(declared: Sequence[Mapping[str, Any]], sent: list[Any], what: str) -> None:
    if len(declared) != len(sent) or not all(map(_fits, declared, sent)):
        raise UnreadableRequestError(f"the {what} are not those of the callback")


def _fits(declared: Mapping[str, Any], sent: _Property | list[_Property] | None) -> bool:
    """Whether the properties that were sent are the declared one, or some of the declared ones."""
    name: str = declared["id"]
    pattern = json.loads(name) if name.startswith("{") else name
    many = isinstance(pattern, dict) and any(value in _MANY for value in pattern.values())
    return (
        sent is not None
        and many == isinstance(sent, list)
        and all(
            # After an @ stands which of several callbacks with that output it is.
            part.property.partition("@")[0] == declared["property"] and _named(pattern, part.id)
            for part in _listed(sent)
        )
    )


def _named(pattern: str | dict[str, Any], sent: str | dict[str, Any]) -> bool:
    if isinstance(pattern, str) or isinstance(sent, str):
        return pattern == sent
    return pattern.keys() == sent.keys() and all(
        isinstance(value, list) or value == sent[key] for key, value in pattern.items()
    )


def _property_id(part: _Property) -> str:
    name = part.id
    if isinstance(name, dict):
        # As the browser writes it.
        name = json.dumps(name, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{name}.{part.property}"


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _unreadable(name: str, problem: str) -> UnreadableRequestError:
    return UnreadableRequestError(
        f"What the page sent as {name!r} can't be read: {problem}. Reload the page."
    )
