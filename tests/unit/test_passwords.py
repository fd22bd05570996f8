"""Passwords: what matches, and what it costs to ask."""

from __future__ import annotations

import time

import pytest
from cheap_hashes import AS_EVERYWHERE

from engine.identity import passwords


@pytest.fixture(autouse=True)
def as_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes cost here what they cost in the product."""
    for name, value in AS_EVERYWHERE.items():
        monkeypatch.setattr(passwords, name, value)


def test_only_the_password_matches_its_hash() -> None:
    stored = passwords.make_hash("secure_password")

    assert stored.startswith("$argon2id$")
    assert passwords.matches(stored, "secure_password")
    assert not passwords.matches(stored, "secure_passwort")


def test_two_hashes_of_one_password_differ() -> None:
    assert passwords.make_hash("secure_password") != passwords.make_hash("secure_password")


def test_nobody_signs_in_without_a_hash_or_with_a_broken_one() -> None:
    assert not passwords.matches(None, "nobody has this password")
    assert not passwords.matches("no hash at all", "secure_password")


def test_asking_for_an_unknown_account_takes_as_long_as_a_wrong_password() -> None:
    stored = passwords.make_hash("secure_password")

    def cost(known: str | None) -> float:
        began = time.process_time()
        for _ in range(5):
            passwords.matches(known, "wrong password")
        return time.process_time() - began

    wrong, unknown = cost(stored), cost(None)

    assert 0.4 < unknown / wrong < 2.5


def test_a_hash_with_older_parameters_is_outdated() -> None:
    weaker = "$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43

    assert passwords.outdated(weaker)
    assert not passwords.outdated(passwords.make_hash("secure_password"))
    assert not passwords.outdated(passwords.NOBODY)
