"""Pages that films and series are found on, and asked for."""
