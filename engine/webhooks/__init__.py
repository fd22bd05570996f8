"""Webhooks: what other systems tell us. Proven, stored once, answered at once, worked on by a job."""
