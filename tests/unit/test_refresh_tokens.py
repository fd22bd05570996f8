"""Refresh tokens: which are ours, and which comes next."""

from __future__ import annotations

import base64

import pytest

from config.settings import Settings
from engine.identity.refresh_tokens import RefreshToken

SETTINGS = Settings(secret_key="s" * 48)
OTHERS = Settings(secret_key="t" * 48)


def test_a_token_of_ours_is_recognised() -> None:
    token = RefreshToken.make("ses-1")

    assert RefreshToken.parse(SETTINGS, token.text(SETTINGS)) == token


def test_its_successor_is_always_the_same_and_ours_too() -> None:
    token = RefreshToken.make("ses-1")

    following = token.successor(SETTINGS)

    assert following == token.successor(SETTINGS) != token
    assert RefreshToken.parse(SETTINGS, following.text(SETTINGS)) == following


def test_two_first_tokens_differ() -> None:
    assert RefreshToken.make("ses-1").secret != RefreshToken.make("ses-1").secret


def _invented() -> str:
    return f"ses-1.{base64.urlsafe_b64encode(b'x' * 48).decode()}"


@pytest.mark.parametrize("text", ["", ".", "ses-1", "ses-1.", "ses-1.a", "ses-1.äöü", "\0.\0", _invented()])
def test_anything_else_is_not(text: str) -> None:
    assert RefreshToken.parse(SETTINGS, text) is None


def test_neither_is_a_changed_one_nor_one_of_another_installation() -> None:
    text = RefreshToken.make("ses-1").text(SETTINGS)

    assert RefreshToken.parse(SETTINGS, text.replace("ses-1", "ses-2")) is None
    assert RefreshToken.parse(SETTINGS, text[:-4] + ("AAAA" if text[-4:] != "AAAA" else "BBBB")) is None
    assert RefreshToken.parse(OTHERS, text) is None
