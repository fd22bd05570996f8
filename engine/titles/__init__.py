"""Films and series as TMDB knows them: asked for, kept, found again while TMDB is away."""
