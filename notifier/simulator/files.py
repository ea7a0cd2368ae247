"""Reading scenario files; every error is reported with the file and the position."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml
from pydantic import ValidationError

from notifier.errors import ConfigError, ScenarioError
from notifier.simulator.behaviour import Behaviour
from notifier.simulator.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from importlib.resources.abc import Traversable

_SUFFIX: Final = ".yaml"
_READ_AS_TYPES: Final = frozenset({"tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"})


class _ScenarioLoader(yaml.SafeLoader):
    """Keeps plain scalars as text, and refuses duplicate keys.

    YAML 1.1 would turn the title ``12:30`` into 750, the language ``no`` into false and the id ``0123`` into
    83; the models know which fields are numbers.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and the type are PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _READ_AS_TYPES]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key} is defined twice", node.start_mark
                )
        return super().construct_mapping(node, deep=deep)


def bundled_scenarios() -> list[str]:
    """Return the names of the bundled scenarios, sorted."""
    files = (entry.name for entry in _bundle().iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX))


def load_scenario(path_or_name: str) -> Scenario:
    """Return the scenario in a file, or a bundled scenario if the text has neither a slash nor an extension.

    Raises:
        ScenarioError: There is no such file or name, or it is not a valid scenario; the message says where.
    """
    if "/" in path_or_name or Path(path_or_name).suffix:
        source: Traversable = Path(path_or_name)
    elif path_or_name in bundled_scenarios():
        source = _bundle() / f"{path_or_name}{_SUFFIX}"
    else:
        names = ", ".join(bundled_scenarios())
        raise ScenarioError(
            f"{path_or_name}: no such scenario; there are {names}, or pass the path of a file"
        )
    try:
        text = source.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"{path_or_name}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path_or_name}: is not UTF-8 text") from error
    return parse_scenario(text, source=path_or_name)


def parse_scenario(text: str, *, source: str) -> Scenario:
    """Return the scenario in a YAML text; ``source`` names it in messages.

    Raises:
        ScenarioError: The text is not YAML, or not a valid scenario; the message names each position.
    """
    try:
        document = yaml.load(text, _ScenarioLoader)  # noqa: S506 - the loader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ScenarioError(f"{source}: {place}{error.problem}") from error
    except yaml.YAMLError as error:
        raise ScenarioError(f"{source}: is not YAML: {error}") from error
    try:
        return Scenario.model_validate(document)
    except ValidationError as error:
        raise ScenarioError(f"{source}: {_mistakes(error)}") from error


def read_behaviour(base: Behaviour, changes: Mapping[str, str], *, source: str) -> Behaviour:
    """Return a scenario's ``x`` block with changes; ``source`` names their origin in messages.

    Raises:
        ConfigError: There is no such option, or it does not accept this value.
    """
    try:
        return Behaviour.model_validate({**base.model_dump(), **changes})
    except ValidationError as error:
        raise ConfigError(f"{source}: {_mistakes(error)}") from error


def _bundle() -> Traversable:
    return resources.files("notifier.simulator") / "scenarios"


def _mistakes(error: ValidationError) -> str:
    return "; ".join(f"{_path(mistake['loc'])}{mistake['msg']}" for mistake in error.errors())


def _path(loc: tuple[int | str, ...]) -> str:
    """Return ``("spaces", 0, "timeline")`` as ``spaces[0].timeline: ``, an empty path as empty text."""
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return f"{steps.removeprefix('.')}: " if steps else ""
