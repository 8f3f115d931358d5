"""How the services talk: contracts, the bus, and the outbox and inbox that tie it to a database."""
