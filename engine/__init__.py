"""What the product does; knows no Flask and no Celery."""
