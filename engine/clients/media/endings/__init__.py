"""Where a media file should end by its own container, without decoding it."""
