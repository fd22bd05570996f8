"""What PostgreSQL and Redis do for the engine beyond tables and queues: their errors, advisory locks, the cache."""
