"""The sync of the catalogue with a Plex server: runs, passes, push notifications."""
