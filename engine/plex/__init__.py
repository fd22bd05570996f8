"""Plex inside: the library here, in step with the server, and what happens there."""
