"""Flower, read-only behind our own sign-in."""
