"""The pages of signing in: by password, with Plex, by links of mails."""
