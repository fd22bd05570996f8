"""Who watches what: activity, statistics, watch state."""
