"""Plex, Overseerr and TMDB as admins set them up: values, tests, discovery."""
