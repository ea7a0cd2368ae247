from __future__ import annotations

import pytest

from notifier.errors import ConfigError
from notifier.store import SecretBox

OLD, NEW = b"o" * 32, b"n" * 32
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_sealed_value_can_be_opened_and_hides_its_content() -> None:
    box = SecretBox({"old": OLD})
    sealed = box.seal(SECRET)
    assert SECRET not in sealed
    assert box.seal(SECRET) != sealed
    assert box.open(sealed) == SECRET
    assert "oooo" not in repr(box)


def test_a_new_key_seals_while_the_old_one_still_opens() -> None:
    sealed = SecretBox({"old.1": OLD}).seal(SECRET)
    both = SecretBox({"new": NEW, "old.1": OLD})
    assert both.open(sealed) == SECRET
    assert both.seal(SECRET).startswith("new.")


@pytest.mark.parametrize("keys", [{"new": NEW}, {"old": NEW}])
def test_a_missing_or_wrong_key_is_named_and_no_secret_shown(keys: dict[str, bytes]) -> None:
    sealed = SecretBox({"old": OLD}).seal(SECRET)
    with pytest.raises(ConfigError, match="NOTIFIER_MASTER_KEYS: the key 'old'") as caught:
        SecretBox(keys).open(sealed)
    assert SECRET not in str(caught.value)


def test_an_empty_list_of_keys_is_refused() -> None:
    with pytest.raises(ConfigError, match="NOTIFIER_MASTER_KEYS"):
        SecretBox({})
