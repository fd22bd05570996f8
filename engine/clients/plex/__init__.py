"""Plex servers and plex.tv over HTTP and WebSocket."""
