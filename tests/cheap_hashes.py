"""Password hashes of little work: the same argon2id, without the memory and passes that make guessing dear."""

from __future__ import annotations

from argon2 import PasswordHasher

from engine.identity import passwords

AS_EVERYWHERE = {"_hasher": passwords._hasher, "NOBODY": passwords.NOBODY}


def hash_cheaply() -> None:
    """From now on this process makes and verifies hashes for a thousandth of the work.

    A fifth of what tests of accounts did was hashing one password; `tests/unit/test_passwords.py` has the real cost.
    """
    passwords._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    passwords.NOBODY = passwords._hasher.hash("a password that nobody has")
