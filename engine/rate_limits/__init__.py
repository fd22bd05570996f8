"""How often somebody may ask: sliding windows in Redis, or in memory while Redis is away."""
