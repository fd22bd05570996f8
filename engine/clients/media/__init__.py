"""ffmpeg and PyAV: probing, examining, converting and embedding."""
