"""Videos by URL: requested, queued, fetched, published, removed."""
