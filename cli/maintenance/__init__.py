"""Migrations, backup and restore, rotation of the secret key."""
