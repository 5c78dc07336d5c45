"""What docker-compose.yaml is made of, and how it is proved where no image registry can be reached."""
