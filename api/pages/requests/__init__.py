"""Pages of requests: the list, one of them, the rules."""
