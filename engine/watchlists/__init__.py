"""Plex watchlists: what users want to watch is asked for."""
