"""What the messages say: one frozen model per stream, whose JSON Schemas are published and guarded."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, NaiveDatetime

from libs.messaging import topics
from libs.messaging.federated import FEDERATED_PAYLOADS, Federated, FederatedTally
from libs.messaging.topics import Topic


class Contract(BaseModel):
    """A payload. Fields and vocabulary ids that a newer peer added are kept, not dropped."""

    model_config = ConfigDict(frozen=True, extra="allow")


class VenueFacts(Contract):
    """A place as the public may know it. `accessibility` holds ids such as `step_free`."""

    id: UUID
    name: str
    street: str | None = None
    municipality: str | None = None
    province: str = "CA-QC"
    postal_code: str | None = None
    phone: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    accessibility: tuple[str, ...] = ()


class SeatCounts(Contract):
    """Seats per kind: in the room and on the video call."""

    on_site: int = 0
    online: int = 0


class HeldSeats(Contract):
    """Seats of one kind kept for one channel until they are released."""

    seat_kind: str
    channel: str
    seats: int


class Release(Contract):
    """From `at` on, `seats` of those held for `channel` belong to everybody."""

    at: AwareDatetime
    seat_kind: str
    channel: str
    seats: int


class DrawRule(Contract):
    """Whoever asks before `closes_at` has the same chance; `first_time_lots` for who has had no seat yet."""

    closes_at: AwareDatetime
    first_time_lots: int = 1


class WaitlistRule(Contract):
    """`limit` None: anybody may wait. `offer_hours`: how long a freed seat is kept for one person.

    `draw` goes with the policy `draw`.
    """

    policy: str = "first_come"
    offer_hours: float = 24
    limit: int | None = None
    draw: DrawRule | None = None

    @property
    def drawn(self) -> DrawRule | None:
        """The rule of the draw that gives the seats, if a draw does."""
        return self.draw if self.policy == "draw" else None


class ReconfirmRule(Contract):
    """From `days` before a session on, confirmed people are asked whether they still come; None: nobody is.

    `silence`: what follows when somebody was told twice and answers neither time: `keep`, or `free` their
    seat on the last day.
    """

    days: int | None = 7
    silence: str = "keep"


class PartyRule(Contract):
    """How many people may register together, the one who registers among them; 1: nobody does.

    `gather_hours`: how long seats that become free are kept for the first party that waits, until there
    are enough; 0: never. `companion_takes_seat`: whether somebody who comes to support a person is counted.
    """

    limit: int = 1
    gather_hours: float = 24
    companion_takes_seat: bool = True


class SessionTimes(Contract):
    """Local wall time and its IANA zone are what was decided; the UTC instants are derived from them."""

    starts_at: NaiveDatetime
    ends_at: NaiveDatetime
    timezone: str
    starts_at_utc: AwareDatetime
    ends_at_utc: AwareDatetime


class SessionState(SessionTimes):
    """A session's public facts: an explicit allow-list, never a room link or a staff note.

    `sequence` is the SEQUENCE (RFC 5545) of its entry in public calendars; None from an older release.
    """

    id: UUID
    status: Literal["published", "held", "cancelled"]
    title: str
    description: str = ""
    bring: str = ""
    stream: str
    kind: str = "workshop"
    theme: str | None = None
    level: str | None = None
    language: str = "fr"
    modality: str
    delivered_by: str | None = None
    region: str | None = None
    tour_id: UUID | None = None
    tour_title: str | None = None
    venue: VenueFacts | None = None
    capacity: SeatCounts
    held_seats: tuple[HeldSeats, ...] = ()
    releases: tuple[Release, ...] = ()
    opens_at: AwareDatetime | None = None
    closes_at: AwareDatetime | None = None
    waitlist: WaitlistRule = WaitlistRule()
    reconfirm: ReconfirmRule = ReconfirmRule()
    party: PartyRule = PartyRule()
    registration_modes: tuple[str, ...] = ("web", "phone", "desk")
    on_shrink: Literal["keep", "ask_volunteers"] = "keep"
    change_reason: str | None = None
    cancel_reason: str | None = None
    cancelled_at: AwareDatetime | None = None
    sequence: int | None = None
    updated_at: AwareDatetime


class SessionAccess(Contract):
    """What only confirmed people and staff may know of a session. Private to the instance."""

    session_id: UUID
    online_url: str | None = None
    staff_notes: str = ""


class SeatsOfKind(Contract):
    """`available`: free general seats that nobody eligible waits for. `held`: free seats of a channel."""

    capacity: int
    confirmed: int
    offered: int
    held: int
    available: int
    waitlisted: int


class SeatsState(SeatsOfKind):
    """A session's seats, in total and per seat kind. Public facts.

    `draw`: `to_come`, `drawn` or `cancelled`; null where seats are not drawn. Until a draw is held no seat is
    `available`, or `held`: all who asked wait for them alike.
    """

    session_id: UUID
    by_kind: dict[str, SeatsOfKind]
    updated_at: AwareDatetime
    draw: str | None = None


class ReachState(Contract):
    """How many live registrations of a session would be told of a change, by route.

    Routes are `email`, `mobile`, `phone`, `postal`. Private to the instance: staff read it before they
    move or cancel a session.
    """

    session_id: UUID
    by_route: dict[str, int]
    updated_at: AwareDatetime


class ContactDetails(Contract):
    """The ways to reach a person; at least one is set. Phones are E.164, or as given if unparsable."""

    email: str | None = None
    mobile: str | None = None
    phone: str | None = None
    postal: str | None = None


class SessionFacts(SessionTimes):
    """A session as a notice tells it, at the moment of the cause.

    `online_url` is set for confirmed people of an online seat only. `url` is the public page.
    """

    id: UUID
    title: str
    status: str
    stream: str = "public"
    modality: str
    language: str = "fr"
    bring: str = ""
    venue: VenueFacts | None = None
    online_url: str | None = None
    url: str
    cancel_reason: str | None = None
    change_reason: str | None = None


class Alternative(SessionTimes):
    """Another session that the person may like, as found at the moment of the cause."""

    id: UUID
    title: str
    url: str
    venue_name: str | None = None
    municipality: str | None = None
    available: int


class DrawFacts(Contract):
    """What a draw is to a person. `rank` of `tickets`: once it is held, null for who asked too late for it.

    `url` is the public page on which anybody can check it.
    """

    ticket: int
    closes_at: AwareDatetime
    url: str
    rank: int | None = None
    tickets: int | None = None


class WaitFacts(Contract):
    """What somebody waits for who takes a seat at any of many sessions, from `first_day` to `last_day`.

    In one of `regions`, or within `km` of `place`; with neither, anywhere. `online`: also by video.
    """

    theme: str
    stream: str = "public"
    regions: tuple[str, ...] = ()
    place: str | None = None
    km: float | None = None
    online: bool = False
    language: str | None = None
    first_day: date
    last_day: date


class Cause(Contract):
    """Why a person is told something, with the facts that the notice needs, as they were then.

    One cause is (epoch, version, cause); the registration's own version rises with each. `status` and
    `sequence` (iCalendar SEQUENCE) are the registration's after the change. `invited`: whether the
    person holds a calendar invitation, so that a CANCEL goes to those alone.

    `wait` is set in the causes of a wait for many sessions (`wait_noted`, `wait_ended`, `wait_over`): their
    `session` stands for its period, and begins and ends with the last day. `ends_wait`: with this seat the
    person's wait for any other is over.

    `office_week`: where `offer_expires_at` was counted in the hours in which the team is there, those hours,
    from Monday to Sunday in minutes after midnight; public holidays count for none.
    """

    epoch: int
    version: int
    cause: str
    at: AwareDatetime
    status: str
    sequence: int
    invited: bool = False
    seat_kind: str = "on_site"
    position: int | None = None
    offer_expires_at: AwareDatetime | None = None
    office_week: tuple[tuple[tuple[int, int], ...], ...] | None = None
    silence_frees: bool = False
    """Of a question whether somebody still comes: whether the seat goes if they never answer."""
    reason: str | None = None
    session: SessionFacts
    previous: SessionFacts | None = None
    alternatives: tuple[Alternative, ...] = ()
    draw: DrawFacts | None = None
    wait: WaitFacts | None = None
    ends_wait: bool = False


class RegistrationState(Contract):
    """A registration with its contact data and the causes of its last 14 days. Private to the instance.

    A wait for many sessions is said in the same form, under its own id, which stands for the session's too:
    `waitlisted` while it lasts, `cancelled` once it has ended.
    """

    id: UUID
    session_id: UUID
    status: str
    channel: str
    seat_kind: str
    party_size: int = 1
    seats: int = 1
    """How many they take: one less than people, where a support companion takes none."""
    name: str
    language: str = "fr"
    contact: ContactDetails
    confirmation_number: str
    generation: int
    """Of the manage token: links with an older one are gone."""
    uid: str
    """The person's calendar entry (RFC 5545 UID)."""
    sequence: int
    created_at: datetime
    reconfirmed_at: AwareDatetime | None = None
    """When the person last said that they still come, to the session as it is planned now."""
    causes: tuple[Cause, ...] = ()


class Attempt(Contract):
    """One try to tell somebody something.

    `number` counts from 1 over all the routes of a notice. `result` is a word: `sent`, `delayed`, `refused`,
    or what the team noted (`no_answer`); `code` what a server said of it (`RCPT 550 5.1.1`), never anybody's
    words. `at` is the last of `times` tries in a row with the same result. What was said before tries were
    kept has no number, perhaps no time, and the code in the place of the result.
    """

    route: str
    result: str
    at: AwareDatetime | None = None
    number: int | None = None
    code: str | None = None
    times: int = 1


class NoticeOutcome(Contract):
    """What became of one notice: (epoch, version, cause) name the cause that it tells.

    `outcome`: `told`, `waiting` (on its way, or on the call list), `not_told` (no route is left) or
    `overtaken` (newer news took its place). `route`: by which the person was told, or is told next.
    """

    epoch: int
    version: int
    cause: str
    outcome: str
    route: str
    at: AwareDatetime
    tried: tuple[Attempt, ...] = ()


class ReachedState(Contract):
    """Whom the notices about one registration have reached, oldest cause first. Private to the instance."""

    registration_id: UUID
    session_id: UUID
    notices: tuple[NoticeOutcome, ...] = ()


PAYLOADS: dict[Topic, type[Contract]] = {
    topics.SESSIONS: SessionState,
    topics.SESSION_ACCESS: SessionAccess,
    topics.SEATS: SeatsState,
    topics.REACH: ReachState,
    topics.REGISTRATIONS: RegistrationState,
    topics.REACHED: ReachedState,
}
"""The streams that carry a `Contract` inside an instance."""

Payload = Contract | Federated

BY_STREAM: dict[str, type[Payload]] = {
    **{topic.logical: payload for topic, payload in PAYLOADS.items()},
    # Counts are made for the national view: inside the instance they already say what may leave it.
    topics.TALLIES.logical: FederatedTally,
    **FEDERATED_PAYLOADS,
}
"""Every stream's payload, by the stream's logical name."""
