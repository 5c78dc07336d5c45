"""Files for docker-compose.yaml, and substitutes for its images where no registry can be reached."""
