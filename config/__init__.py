"""Settings, logging, and the construction of Celery and Redis clients."""
