"""Which item of Plex is which item of the catalogue."""
