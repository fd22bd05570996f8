"""One file per URL prefix: schemas on top, views below."""
