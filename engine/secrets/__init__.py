"""Keys derived from the secret key, values encrypted at rest, and the rotation of both."""
