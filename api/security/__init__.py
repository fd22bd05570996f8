"""Who may call from where: authentication, CSRF, CORS, headers, rate limits, client addresses."""
