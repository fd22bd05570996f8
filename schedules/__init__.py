"""The timetable of celery beat."""
