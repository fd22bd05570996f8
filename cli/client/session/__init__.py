"""Which server a client command talks to, and as whom."""
