"""Accounts: who a person is, what he may do, and on which devices he is signed in."""
