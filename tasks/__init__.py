"""The Celery door: tasks that claim a row and call the engine."""
