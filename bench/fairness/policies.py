"""The policies that are compared, as a session's facts say them to the service."""

from dataclasses import dataclass
from datetime import timedelta

from bench.fairness.assumptions import Assumptions
from bench.fairness.crowd import ASSISTED, CHANNELS
from libs.messaging.contracts import DrawRule, HeldSeats, Release, SessionState, WaitlistRule


@dataclass(frozen=True, slots=True)
class Policy:
    """`lots`: how many a first time has in a draw; None where seats are not drawn."""

    name: str
    about: str
    holds: bool = False
    lots: int | None = None

    def applied(self, facts: SessionState, assumed: Assumptions) -> SessionState:
        """A first-come session's facts, as they are under this policy."""
        if self.holds:
            held = shared_out(round(assumed.held * facts.capacity.on_site), assumed)
            at = facts.starts_at_utc - timedelta(days=assumed.release_days)
            seats = [
                {"seat_kind": "on_site", "channel": channel, "seats": n} for channel, n in held.items() if n
            ]
            return facts.model_copy(
                update={
                    "held_seats": tuple(HeldSeats.model_validate(one) for one in seats),
                    "releases": tuple(Release.model_validate({**one, "at": at}) for one in seats),
                }
            )
        if self.lots is not None:
            assert facts.opens_at is not None, "registration opens at an instant"
            closes_at = facts.opens_at + timedelta(days=assumed.draw_days)
            rule = WaitlistRule(
                policy="draw",
                offer_hours=facts.waitlist.offer_hours,
                draw=DrawRule(closes_at=closes_at, first_time_lots=self.lots),
            )
            return facts.model_copy(update={"waitlist": rule})
        return facts


def policies(assumed: Assumptions) -> tuple[Policy, ...]:
    """First come, held pools, draw; and the draw in which first times have more lots."""
    return (
        Policy("first come", "who asks first has the seat"),
        Policy(
            "held pools", "the same, but some seats are kept for assisted channels until a date", holds=True
        ),
        Policy("draw", "who asks before the closing has the same chance", lots=1),
        Policy(
            f"draw, {assumed.lots} lots",
            f"the same, but who had no seat this year is in {assumed.lots} lots",
            lots=assumed.lots,
        ),
    )


def shared_out(seats: int, assumed: Assumptions) -> dict[str, int]:
    """Held seats by channel, by the parts of the demand; the rest goes to the largest remainders."""
    parts = {CHANNELS[group]: getattr(assumed, group) for group in ASSISTED}
    whole = sum(parts.values())
    exact = {channel: seats * part / whole for channel, part in parts.items()}
    found = {channel: int(share) for channel, share in exact.items()}
    for channel in sorted(exact, key=lambda one: found[one] - exact[one])[: seats - sum(found.values())]:
        found[channel] += 1
    return found
