"""Two regions and the country on real Kafka, killed and cut under load; then all of them must agree."""
