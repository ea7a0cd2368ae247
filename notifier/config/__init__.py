"""Settings: read once at the start from ``NOTIFIER_*`` variables and ``.env``, validated, then frozen.

Nothing here runs at import. A process calls :func:`load_settings` and passes the result down.
"""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from notifier.config.settings import ENV_PREFIX, Settings
from notifier.errors import ConfigError

__all__ = ["ENV_PREFIX", "Settings", "load_settings"]


def load_settings(**overrides: Any) -> Settings:  # noqa: ANN401  pydantic checks each by its field
    """Return the settings; ``overrides`` (attribute names) take precedence over the environment and ``.env``.

    Raises:
        ConfigError: A value is invalid. The message is one line that names each variable, says what would be
            accepted, and never shows a secret.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
    except (UnicodeDecodeError, OSError) as error:
        raise ConfigError(f".env: cannot be read as UTF-8 text ({type(error).__name__})") from None
    # Raised outside the handler, so that the original error, with its input, is not chained.
    raise ConfigError("; ".join(dict.fromkeys(_line(detail) for detail in details)))


def _line(detail: ErrorDetails) -> str:
    variable = ENV_PREFIX + str(detail["loc"][0]).upper()
    text = detail["msg"].removeprefix("Value error, ").replace("Input should", "should")
    return f"{variable}: {text}"
