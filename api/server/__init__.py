"""The web worker: connections, and requests that arrive slowly or malformed."""
