"""Which passwords are too easy to guess, by which words that is said, and how long judging takes."""

from __future__ import annotations

import time

import pytest

from engine.errors import ValidationFailed
from engine.identity.guessing import weakness
from engine.identity.passwords import chosen, matches

ANN = ("Ann Smith", "ann.smith@example.com")


@pytest.mark.parametrize(
    "password",
    [
        *("password", "12345678", "aaaaaaaa", "PASSWORD", "P@ssw0rd", "Password1", "drowssap", "qwertyuiop"),
        *("1q2w3e4r", "iloveyou", "letmein1", "admin123", "changeme", "trustno1", "abcabcabc", "19900101"),
        *("password" * 16, "a" * 128, "        ", "00000000", "zaq12wsx", "michelle", "welcome1"),
        # like the name, the address, or what it is for
        *("annsmith", "Ann Smith", "Ann-Smith-1", "smith1234", "htimsnna", "4nnsm1th", "Ann Smith Ann Smith"),
        *(
            "ann.smith@example.com",
            "ann.smith!",
            "Example.com",
            "medianest",
            "Medianest2026!",
            "smithann1990",
        ),
    ],
)
def test_easily_guessed(password: str) -> None:
    assert weakness(password, about=ANN)


@pytest.mark.parametrize(
    "password",
    [
        *("correct horse battery staple", "Str0ng-Passw0rd-42", "secure_password", "new_secure_password"),
        *(
            "jV7!xq2Lp9",
            "kitchen table lamp",
            "安全な密码很长啊对吧",
            "tulpe fenster sieben",
            "x" * 30 + " red lamp tree",
        ),
        *("correct horse battery staple" * 4, "p4ss-w0rd", "a new long password", "Tr0ub4dor&3"),
    ],
)
def test_not_easily(password: str) -> None:
    assert weakness(password, about=ANN) is None


def test_says_why_and_what_is_accepted() -> None:
    for password, why in (
        ("password", "top-10 common"),
        ("annsmith", "your name"),
        ("abcabcabc", "few times"),
    ):
        with pytest.raises(ValidationFailed) as caught:
            chosen(password, name=ANN[0], email=ANN[1], field="newPassword")
        (told,) = caught.value.details["newPassword"]  # type: ignore[index,call-overload]
        assert why in told
        assert "three or four words" in told
        assert password == "password" or password not in caught.value.message


def test_what_is_accepted_signs_in() -> None:
    assert matches(chosen("correct horse battery", name="", email=None), "correct horse battery")


@pytest.mark.parametrize("piece", ["abcdefghij0123456789!@# ", "a", "password1", "aB1"])
def test_judging_a_long_one_costs_no_more_than_a_short_one_many_times(piece: str) -> None:
    """Grown fourfold, a text would take hundreds of times as long if all of it were judged at once."""

    def seconds(length: int) -> float:
        began = time.process_time()
        weakness((piece * 200)[:length] + "x", about=ANN)
        return time.process_time() - began

    weakness(piece, about=ANN)  # its word lists are read
    short = min(seconds(60) for _ in range(2))
    assert seconds(2000) < 4 * short + 0.25
