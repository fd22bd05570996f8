"""Passwords: strong, stored as argon2id (RFC 9106), verified in the same time with an account or without."""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from engine.errors import ValidationFailed
from engine.identity import guessing

MIN_LENGTH = 8  # NIST SP 800-63B-4, memorized secrets
MAX_LENGTH = 128

# OWASP's second choice: 19 MiB and 2 passes, about 25 ms.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# Of a password that nobody has, with the same parameters.
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$I6ZtVDOKXaiNuqMrHlBf1Q$0WAk8r3N/7TF0XOxpaZh4ux5FsII2j277VFAwnp+VCM"
_at_once = threading.BoundedSemaphore(4)  # a flood of sign-ins costs time, not all memory


def chosen(password: str, *, name: str, email: str | None, field: str = "password") -> str:
    """The hash of a password that somebody chooses for an account; the one way to a first or new password.

    Args:
        password: of an accepted length.
        name: of the person, who must not be guessed from it.
        email: likewise.
        field: what the request calls the password, for the message.

    Raises:
        ValidationFailed: it is too easy to guess; says why, and what is accepted.
    """
    why = guessing.weakness(password, about=(name, email or ""))
    if why is not None:
        words = f"Is too easy to guess: {why} {guessing.ACCEPTED}"
        raise ValidationFailed(
            f"The password is too easy to guess: {why} {guessing.ACCEPTED}", **{field: words}
        )
    return make_hash(password)


def make_hash(password: str) -> str:
    """Hash a password with a fresh salt; the parameters are part of the text."""
    with _at_once:
        return _hasher.hash(password)


def matches(stored: str | None, password: str) -> bool:
    """Whether the password belongs to the hash; without one a dummy hash is verified, for the same time."""
    try:
        with _at_once:
            return _hasher.verify(stored or NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)
