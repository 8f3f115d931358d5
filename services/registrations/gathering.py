"""Gathering: seats that become free one by one are kept for a party until there are enough, for a while."""

USUAL_HOURS = 24
"""How long seats gather where the session says nothing else; as an offer, at most half of what is left."""
LARGEST_PARTY = 12
"""The highest limit that a session may set."""
