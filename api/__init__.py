"""The API: a thin HTTP and WebSocket door to the engine."""
