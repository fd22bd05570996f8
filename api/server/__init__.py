"""The web worker: connections, requests that arrive slowly or malformed, slow requests."""
