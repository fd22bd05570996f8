"""Requests for films, series and videos: asked, decided, fulfilled, and available once Plex has them."""
