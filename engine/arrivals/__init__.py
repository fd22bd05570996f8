"""A finished download's way into Plex: scan, search, and the reasons why it isn't there yet."""
