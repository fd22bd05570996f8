"""Jobs that can't be lost: the row is the job, Redis is only the doorbell (see docs/architecture.md)."""
