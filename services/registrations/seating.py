"""A session's seats under its lock: the part of its book that a command needs, and what came of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from libs.clock import decision_time
from libs.messaging.contracts import SessionState
from libs.settings import Settings
from services.registrations import draw_records, ledger, offers, pools, waitlist
from services.registrations.draw import Stage
from services.registrations.models import LedgerEntry, Registration, SessionCopy
from services.registrations.office_hours import office_of_json
from services.registrations.pools import PoolKey
from services.registrations.seatbook import (
    KEEPS_SHARES,
    LIVE,
    SEATED,
    Accept,
    Attend,
    CancelDraw,
    Command,
    Draw,
    Lapse,
    Move,
    Person,
    Pool,
    Prioritise,
    Replan,
    Request,
    SeatBook,
    Split,
    Terms,
    terms_of,
)
from services.registrations.telling import Telling


class Seating:
    """Holds the session's row lock: every decision about its seats is made through one of these.

    `now` was read after the lock. `do` decides; changes are written, and people told, by `finish`.
    """

    def __init__(
        self, tx: AsyncSession, settings: Settings, row: SessionCopy, book: SeatBook, now: datetime
    ) -> None:
        self.tx = tx
        self.row = row
        self.now = now
        self.book = book
        self.settings = settings
        self.facts = SessionState.model_validate(row.facts)
        self.telling = Telling(tx, settings, row, now)
        self._rows: dict[UUID, Registration] = {}
        self._entries: list[ledger.Entry] = []
        self._asked: list[Registration] = []
        self._written = {key: pool.effective for key, pool in book.pools.items()}
        self._shared_out = False

    @classmethod
    async def lock(cls, tx: AsyncSession, settings: Settings, session_id: UUID) -> "Seating | None":
        """Wait for the session's row and read its seats; None if `events` has said nothing of it yet."""
        row = await tx.get(
            SessionCopy, session_id, with_for_update={"key_share": True}, populate_existing=True
        )
        if row is None or row.facts is None:
            return None
        now = await decision_time(tx)
        office = office_of_json(row.office) if row.office is not None else None
        terms = terms_of(SessionState.model_validate(row.facts), office)
        if row.last_entry == 0:
            return await cls._opened(tx, settings, row, terms, now)
        stage = None if row.draw_stage is None else Stage(row.draw_stage)
        book = SeatBook(terms, await _pools(tx, session_id), {}, row.last_seq, stage)
        return cls(tx, settings, row, book, now)

    @classmethod
    async def _opened(
        cls, tx: AsyncSession, settings: Settings, row: SessionCopy, terms: Terms, now: datetime
    ) -> "Seating":
        """The session's ledger begins: with everybody who was there before it, if anybody was.

        And with what its draw commits to, if its seats are drawn: before anybody can ask for one.
        """
        people = [person_of(registration) for registration in await _registrations_of(tx, row.id)]
        book = SeatBook.opened(terms, now, people, row.last_seq)
        seating = cls(tx, settings, row, book, now)
        seating._written = {key: pool.effective for key, pool in (await _pools(tx, row.id)).items()}
        seating._entries.append(ledger.opening(book, now))
        if seating.facts.waitlist.drawn is not None:
            tx.add(draw_records.committed(row.id, seating.facts.waitlist.drawn, now))
        return seating

    @property
    def is_over(self) -> bool:
        """Whether no seat of this session can change hands any more."""
        return self.book.is_over(self.now)

    def know(self, *registrations: Registration) -> None:
        """Take these people into the book, so that a command can name them."""
        for registration in registrations:
            ref = ref_of(registration)
            self._rows[ref] = registration
            self.book.people.setdefault(ref, person_of(registration))

    async def everybody(self) -> list[Registration]:
        """All who have a seat or may still get one, in the order of their requests; now in the book."""
        found = await _registrations_of(self.tx, self.row.id, LIVE)
        self.know(*found)
        return found

    async def waiting(self) -> list[Registration]:
        """All who wait, in the order of their requests; now in the book."""
        found = await _registrations_of(self.tx, self.row.id, ("waitlisted",))
        self.know(*found)
        return found

    async def pending(self) -> list[Registration]:
        """All who wait for the draw, in the order of their requests; now in the book."""
        found = await _registrations_of(self.tx, self.row.id, ("pending",))
        self.know(*found)
        return found

    async def unasked(self) -> Sequence[Registration]:
        """Those who stand in the line by a wait for many sessions; not in the book."""
        wanted = select(Registration).where(
            Registration.session_id == self.row.id,
            Registration.status == "waitlisted",
            col(Registration.wait_id).is_not(None),
        )
        return (await self.tx.scalars(wanted)).all()

    async def do(self, command: Command) -> list[Registration]:
        """Decide, and record it. The people touched, as they stand now, without those newly asked.

        Whoever is offered a seat is told by `finish`, after those whom the caller tells. Raises a `Refused`.
        """
        await self._load_for(command)
        people = self.book.do(command, self.now)
        self._entries.append(ledger.entry(command, people, self.now))
        self._shared_out |= not isinstance(command, KEEPS_SHARES)
        changed: list[Registration] = []
        with self.tx.no_autoflush:
            await self._know_rows(people)
            for person in people:
                registration = self._rows[person.ref]
                newly_asked = person.status == "offered" and registration.status != "offered"
                _stand(registration, person, self.now)
                (self._asked if newly_asked else changed).append(registration)
            await self._write_seats(people)
        return changed

    async def admit(self, registration: Registration) -> None:
        """A request from somebody whose row is not written yet: it gets its number, and seat or place."""
        registration.by_hand = offers.is_by_hand(
            registration.email, registration.mobile, texts=self.settings.sms_url is not None
        )
        request = Request(
            ref_of(registration),
            registration.seat_kind,
            registration.channel,
            size=registration.seats,
            on_offer=registration.wait_id is not None,
            by_hand=registration.by_hand,
        )
        await self._do_with_new_row(request, registration)

    async def split(self, registration: Registration, new: Registration) -> list[Registration]:
        """A party that waits goes on in two parts; the `new` one's row is not written yet."""
        new.by_hand = registration.by_hand
        return await self._do_with_new_row(Split(ref_of(registration), ref_of(new), new.seats), new)

    async def _do_with_new_row(self, command: Request | Split, new: Registration) -> list[Registration]:
        self._rows[ref_of(new)] = new
        with self.tx.no_autoflush:
            self.tx.add(new)
            return await self.do(command)

    async def finish(self) -> None:
        """Write what was decided and announce it; the caller's transaction commits."""
        self._write_entries()
        self.row.last_seq, self.row.draw_stage = self.book.last_seq, self.book.stage
        if self._shared_out:
            # Otherwise a release whose date has come is still to be carried out.
            self.row.next_release_at = pools.next_release(self.book.terms.plan, self.now)
        self.row.seats_dirty = self.row.reach_dirty = True
        for registration in self._asked:
            self.telling.tell(registration, "offered")
        self._asked.clear()
        await self.telling.finish()

    async def position(self, registration: Registration) -> int:
        """The place in the line for seats of this person's kind: 1 is next."""
        await self.tx.flush()
        return await place_in_line(self.tx, registration)

    # Loading.

    async def _load_for(self, command: Command) -> None:
        """See that the book holds whom the command may touch: partial, it decides as if it were whole."""
        if isinstance(command, Accept | Prioritise | Request | Attend):
            return
        if isinstance(command, Replan) and self._moves_people(command.terms):
            await self.everybody()
        elif isinstance(command, Replan):
            await self._load_first_of_line(self._free_after(command.terms))
        elif isinstance(command, Move | Split):
            await self.waiting()
        elif isinstance(command, Draw | CancelDraw):
            await self.pending()
        else:
            free = sum(pool.free for pool in self.book.pools.values())
            await self._load_first_of_line(free + await self._freed_by(command))

    async def _freed_by(self, command: Command) -> int:
        """As many seats as the command can free, or more."""
        if isinstance(command, Lapse):
            return sum(late.seats for late in await self._late_offers())
        person = self.book.people.get(getattr(command, "ref", self.row.id))
        return 1 if person is None else person.size

    def _moves_people(self, terms: Terms) -> bool:
        """Whether new terms touch people who don't wait for a seat: their kind of seat, or their offer."""
        old = self.book.terms
        return terms.status != "published" or terms.kinds != old.kinds or terms.starts_at < old.starts_at

    def _free_after(self, terms: Terms) -> int:
        """How many seats new terms leave free. Too many people on one kind take none of the other."""
        free = dict(terms.plan.capacity)
        for key, pool in self.book.pools.items():
            free[key.seat_kind] = free.get(key.seat_kind, 0) + pool.granted - pool.used
        return sum(max(0, seats) for seats in free.values())

    async def _late_offers(self) -> Sequence[Registration]:
        """Those whose end has passed. Who gathers is in the book whenever the line is looked at."""
        late = (
            await self.tx.scalars(
                select(Registration).where(
                    Registration.session_id == self.row.id,
                    Registration.status == "offered",
                    col(Registration.offer_expires_at) <= self.now,
                )
            )
        ).all()
        self.know(*late)
        return late

    async def _load_first_of_line(self, count: int) -> None:
        """The first `count` of those alike: so many seats can't reach anybody behind them.

        Alike are those of one kind, channel and size who may still have seats gather for them, or may not:
        where the first of them doesn't fit, none does. For whom seats gather now is always among them.
        """
        gathers = any(pool.gathering for pool in self.book.pools.values())
        if not self.book.waiting or (count <= 0 and not gathers):
            return
        await self.tx.flush()
        rows = await self.tx.execute(_FIRST_OF_LINE, {"session_id": self.row.id, "count": count})
        for row in rows:
            self.book.people.setdefault(
                row.ledger_ref,
                Person(
                    row.ledger_ref, row.seq, row.seat_kind, row.channel, "waitlisted",
                    priority=row.priority, place=row.place, rank=row.draw_rank, on_offer=row.on_offer,
                    by_hand=row.by_hand, size=row.seats, gather=row.gather_until, gathered=row.gathered,
                ),
            )  # fmt: skip

    async def _know_rows(self, people: Sequence[Person]) -> None:
        missing = [person.ref for person in people if person.ref not in self._rows]
        if missing:
            rows = await self.tx.scalars(
                select(Registration).where(col(Registration.ledger_ref).in_(missing))
            )
            self._rows |= {ref_of(registration): registration for registration in rows}

    # Writing.

    async def _write_seats(self, people: Sequence[Person]) -> None:
        """The shares first with room to spare, then the people, then the shares as they are.

        The people's rows are written one after the other: in between, a pool may look fuller than it is.
        """
        now = {key: pool.effective for key, pool in self.book.pools.items()}
        changes = sum(person.size for person in people)
        shares = [
            {
                "session_id": self.row.id,
                "seat_kind": key.seat_kind,
                "channel": key.channel,
                "effective": seats,
            }
            for key, seats in now.items()
        ]
        if now == self._written and len(people) <= 1:
            await self.tx.flush()
            return
        await self.tx.execute(
            _WIDEN,
            [
                share | {"wide": max(seats, self._written.get(key, 0)) + changes}
                for share, (key, seats) in zip(shares, now.items(), strict=True)
            ],
        )
        await self.tx.flush()
        await self.tx.execute(_SHARE, shares)
        self._written = now

    def _write_entries(self) -> None:
        for entry in self._entries:
            self.row.last_entry += 1
            self.tx.add(
                LedgerEntry(
                    session_id=self.row.id,
                    entry=self.row.last_entry,
                    at=entry.at,
                    command=entry.command,
                    inputs=entry.inputs,
                    touched=entry.touched,
                )
            )
        self._entries.clear()


async def lock_all(tx: AsyncSession, settings: Settings, ids: Iterable[UUID]) -> "dict[UUID, Seating | None]":
    """Lock sessions in the order of their ids: people who cross never wait for each other.

    None stands for a session of which `events` has said nothing yet.
    """
    return {id_: await Seating.lock(tx, settings, id_) for id_ in sorted(set(ids))}


def ref_of(registration: Registration) -> UUID:
    assert registration.ledger_ref is not None, "only an erased person has none, and nothing happens to them"
    return registration.ledger_ref


def person_of(registration: Registration) -> Person:
    """Somebody as the seat book knows them."""
    return Person(
        ref=ref_of(registration),
        seq=registration.seq,
        kind=registration.seat_kind,
        channel=registration.channel,
        status=registration.status,
        pool=registration.pool_channel,
        priority=registration.priority,
        place=registration.place,
        rank=registration.draw_rank,
        granted=registration.granted,
        offer_until=registration.offer_expires_at,
        on_offer=registration.wait_id is not None,
        by_hand=registration.by_hand,
        size=registration.seats,
        gather=registration.gather_until,
        gathered=registration.gathered,
    )


async def place_in_line(tx: AsyncSession, registration: Registration) -> int:
    """How many wait for a seat of this kind up to and with this person."""
    place = await tx.scalar(
        _PLACE,
        {
            "session_id": registration.session_id,
            "seat_kind": registration.seat_kind,
            "priority": registration.priority,
            "standing": waitlist.standing(person_of(registration)),
            "seq": registration.seq,
        },
    )
    return int(place or 0) + 1


def _stand(registration: Registration, person: Person, now: datetime) -> None:
    """Write a person's standing into their row; a new state has a new calendar SEQUENCE (RFC 5546, 2.1.4)."""
    was, registration.status = registration.status, person.status
    registration.seq, registration.seat_kind = person.seq, person.kind
    registration.pool_channel, registration.granted = person.pool, person.granted
    registration.priority, registration.place = person.priority, person.place
    registration.draw_rank = person.rank
    registration.offer_expires_at = person.offer_until
    # Whoever takes no seat stays: a party that becomes smaller loses people who took one.
    registration.party_size += person.size - registration.seats
    registration.seats = person.size
    registration.gather_until, registration.gathered = person.gather, person.gathered
    if person.status == was or (was in SEATED and person.status in SEATED):
        # Who came to the session changes nothing in anybody's calendar.
        return
    if was != "pending":
        registration.sequence += 1
    if person.status == "confirmed":
        registration.confirmed_at, registration.invited = now, True
    elif person.status not in LIVE:
        registration.ended_at = now


async def _pools(tx: AsyncSession, session_id: UUID) -> dict[PoolKey, Pool]:
    rows = await tx.execute(_POOLS, {"session_id": session_id})
    return {
        PoolKey(row.seat_kind, row.channel): Pool(
            row.effective, row.confirmed, row.offered, row.waiting, row.granted, row.gathering
        )
        for row in rows
    }


async def _registrations_of(
    tx: AsyncSession, session_id: UUID, statuses: Sequence[str] | None = None
) -> list[Registration]:
    wanted = select(Registration).where(
        Registration.session_id == session_id, col(Registration.ledger_ref).is_not(None)
    )
    if statuses is not None:
        wanted = wanted.where(col(Registration.status).in_(statuses))
    return list(await tx.scalars(wanted.order_by(col(Registration.seq))))


_POOLS = sa.text(
    "select seat_kind, channel, effective, confirmed, offered, waiting, granted, gathering from seat_pool"
    " where session_id = :session_id"
)
_WIDEN = sa.text(
    "insert into seat_pool (session_id, seat_kind, channel, effective, confirmed, offered)"
    " values (:session_id, :seat_kind, :channel, :wide, 0, 0)"
    " on conflict (session_id, seat_kind, channel) do update set effective = excluded.effective"
)
_SHARE = sa.text(
    "update seat_pool set effective = :effective"
    " where session_id = :session_id and seat_kind = :seat_kind and channel = :channel"
)
_FIRST_OF_LINE = sa.text(
    """
    select ledger_ref, seq, seat_kind, channel, priority, place, draw_rank, on_offer, by_hand, seats,
        gather_until, gathered from (
        select ledger_ref, seq, seat_kind, channel, priority, place, draw_rank, by_hand,
            wait_id is not null as on_offer, seats, gather_until, gathered, row_number() over (
                partition by seat_kind, channel, seats, gathered
                order by -priority, coalesce(place, draw_rank, seq), seq
            ) as number
        from registration where session_id = :session_id and status = 'waitlisted'
    ) as line where number <= :count or gather_until is not null
    """
)
_PLACE = sa.text(
    """
    select count(*) from registration
    where session_id = :session_id and status = 'waitlisted' and seat_kind = :seat_kind
        and (-priority, coalesce(place, draw_rank, seq), seq)
            < (-(:priority)::int, (:standing)::numeric, :seq)
    """
)
