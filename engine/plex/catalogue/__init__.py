"""The mirror of Plex as users read it: items, collections, artwork, live queries."""
