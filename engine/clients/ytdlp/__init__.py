"""yt-dlp: extraction, choice of formats, fetching, and what its errors mean."""
