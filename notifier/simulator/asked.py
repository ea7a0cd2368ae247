"""One request as faults see it: the call, the token and the parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from multidict import MultiMapping


class Call(StrEnum):
    """The calls that clients make; ``lookup`` is by id, for one Space or for many."""

    LOOKUP = "lookup"
    CREATORS = "creators"
    SEARCH = "search"
    USERS = "users"


class Parameter(StrEnum):
    """The query parameters that a fault can name."""

    IDS = "ids"
    USER_IDS = "user_ids"
    USERNAMES = "usernames"
    QUERY = "query"
    SPACE_FIELDS = "space.fields"
    EXPANSIONS = "expansions"
    USER_FIELDS = "user.fields"
    TOPIC_FIELDS = "topic.fields"


SUBJECT_PARAMETERS: Final = (Parameter.IDS, Parameter.USER_IDS, Parameter.USERNAMES, Parameter.QUERY)
"""The parameters that hold the subjects of a request."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request.

    Attributes:
        number: How many requests of this call there were, including this one.
        token: The bearer token.
        parameters: The values of each parameter as they were sent. A query is one value, commas and all;
            the id in the path of ``/2/spaces/{id}`` counts as ``ids``.
    """

    call: Call
    number: int = 1
    token: str = ""
    parameters: Mapping[Parameter, tuple[str, ...]] = field(default_factory=dict)

    def concerns(self, subjects: Iterable[str]) -> bool:
        """Return whether the request is about one of these Spaces, people, names or queries."""
        return any(self.sent(parameter, subjects) for parameter in SUBJECT_PARAMETERS)

    def sent(self, parameter: Parameter, values: Iterable[str]) -> tuple[str, ...]:
        """Return the values of ``parameter`` in the request that ``values`` name, as they were sent."""
        wanted = list(values)
        sent = self.parameters.get(parameter, ())
        return tuple(each for each in sent if any(_is_named(parameter, each, value) for value in wanted))


def read_asked(
    query: MultiMapping[str], *, call: Call, number: int, path_id: str = "", token: str = ""
) -> Asked:
    """Return a request with the parameters that faults can name."""
    parameters = {parameter: _values(parameter, query.getall(parameter, [])) for parameter in Parameter}
    if path_id:
        parameters[Parameter.IDS] = (path_id,)
    return Asked(call, number, token, {name: values for name, values in parameters.items() if values})


def _values(parameter: Parameter, texts: Sequence[str]) -> tuple[str, ...]:
    if parameter is Parameter.QUERY:
        return tuple(texts)
    joined = ",".join(texts)
    return tuple(joined.split(",")) if joined else ()


def _is_named(parameter: Parameter, sent: str, value: str) -> bool:
    """Return whether a value of a scenario matches what was sent; X ignores the case of names and words."""
    if parameter is Parameter.QUERY:
        return value.casefold() in sent.casefold()
    if parameter is Parameter.USERNAMES:
        return value.casefold() == sent.casefold()
    return value == sent
