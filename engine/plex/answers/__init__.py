"""What the answers of a Plex server mean, as rows of the catalogue."""
