"""Monitoring: health, heartbeats, queues, timings."""
