"""WebSockets: the endpoints, one I/O loop a process, and the relay from Redis."""
