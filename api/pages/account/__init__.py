"""The pages of oneself: name and sign-in, devices, API keys, Plex, language and theme."""
