"""Who acts: passwords, sessions, tokens, API keys, and the proof that a person is there."""
