"""What runs inside the containers of docker-compose.yaml, and only there; the host's side of it is in laptop/."""
