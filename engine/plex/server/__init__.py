"""The connected Plex server: address and token, circuit breaker, libraries, path mappings."""
