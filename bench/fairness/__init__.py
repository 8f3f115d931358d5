"""The fairness simulation: who gets a seat under each policy, by the service's own rules."""
