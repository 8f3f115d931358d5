"""A member of a consumer group: its heartbeat, its leases, and the positions it writes under them.

A lease has an epoch that rises with each new holder and each rewind; whoever writes a position names the
epoch it read under, so a member that was thought dead and woke up changes nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from libs.messaging.postgres.line import Connection
from libs.messaging.postgres.sharing import Part, Place, rebalance
from libs.messaging.postgres.tables import GROUPS_CHANNEL
from libs.messaging.topics import Topic

# `owner = current_user` is what the row policy says too, but an administrator is above policies.
_OPEN_PLACES = """
insert into bus.place (group_name, topic, partition)
select $1, t.topic, generate_series(0, t.partitions - 1)
from unnest($2::text[], $3::integer[]) t(topic, partitions)
on conflict do nothing
"""
_HEARTBEAT = """
with beat as (
    insert into bus.member as m (group_name, member, topics, alive_until)
    values ($1, $2, $3::text[], clock_timestamp() + $4::interval)
    on conflict (owner, group_name, member)
        do update set topics = excluded.topics, alive_until = excluded.alive_until
)
select member, topics, alive_until > clock_timestamp() as alive,
    alive_until < clock_timestamp() - interval '1 minute' as long_gone
from bus.member where owner = current_user and group_name = $1
"""
_FORGET_MEMBERS = """
delete from bus.member where owner = current_user and group_name = $1
    and alive_until < clock_timestamp() - interval '1 minute'
"""
_PLACES = """
select topic, partition, holder, epoch from bus.place
where owner = current_user and group_name = $1 and topic = any($2::text[])
"""
# Two members that take at once: the second skips what the first is taking, and neither waits.
_TAKE = """
with chosen as (
    select p.topic, p.partition from bus.place p
    join unnest($3::text[], $4::integer[], $5::bigint[]) w(topic, partition, epoch)
        on p.topic = w.topic and p.partition = w.partition and p.epoch = w.epoch
    where p.owner = current_user and p.group_name = $1
    order by p.topic, p.partition for update of p skip locked
)
update bus.place p set holder = $2, epoch = p.epoch + 1 from chosen c
where p.owner = current_user and p.group_name = $1 and p.topic = c.topic and p.partition = c.partition
returning p.partition
"""
_GIVE_UP = """
with freed as (
    update bus.place p set holder = null from unnest($3::text[], $4::integer[]) w(topic, partition)
    where p.owner = current_user and p.group_name = $1 and p.holder = $2
        and p.topic = w.topic and p.partition = w.partition
)
select pg_notify($5, $1)
"""
_LEAVE = """
with freed as (
    update bus.place set holder = null where owner = current_user and group_name = $1 and holder = $2
), gone as (
    delete from bus.member where owner = current_user and group_name = $1 and member = $2
)
select pg_notify($3, $1)
"""
_ACKNOWLEDGE = """
update bus.place set position = $6 where owner = current_user and group_name = $1 and holder = $2
    and topic = $3 and partition = $4 and epoch = $5
returning true
"""
_REWIND = """
with rewound as (
    insert into bus.place as p (group_name, topic, partition)
    select $1, t.topic, generate_series(0, t.partitions - 1)
    from unnest($2::text[], $3::integer[]) t(topic, partitions)
    on conflict (owner, group_name, topic, partition)
        do update set position = 0, holder = null, epoch = p.epoch + 1
)
select pg_notify($4, $1)
"""


class Membership:
    """What the database knows of one member; the caller brings the connection."""

    def __init__(self, group: str, member: str, topics: Sequence[Topic], lease: timedelta) -> None:
        self.group = group
        self.member = member
        self._names = [topic.name for topic in topics]
        self._partitions = [topic.partitions for topic in topics]
        self._lease = lease
        self._joined = False

    async def beat(self, connection: Connection, busy: Iterable[Part]) -> tuple[set[Part], bool]:
        """Stay alive, and take or give up leases as the shares ask.

        A `busy` partition is given up once its batch is done. Returns those that wait for that, and
        whether all shares could be taken.
        """
        if not self._joined:
            await connection.execute(_OPEN_PLACES, self.group, self._names, self._partitions)
        rows = await connection.fetch(_HEARTBEAT, self.group, self.member, self._names, self._lease)
        if not self._joined:
            await connection.execute("select pg_notify($1, $2)", GROUPS_CHANNEL, self.group)
            self._joined = True
        if any(row["long_gone"] for row in rows):
            await connection.execute(_FORGET_MEMBERS, self.group)
        members = {row["member"]: row["topics"] for row in rows if row["alive"]}
        members[self.member] = self._names
        moves = rebalance(self.member, members, await self._places(connection))
        leaving = set(moves.give_up) & set(busy)
        await self._give_up(connection, [part for part in moves.give_up if part not in leaving])
        return leaving, await self._take(connection, moves.take)

    async def _places(self, connection: Connection) -> list[Place]:
        rows = await connection.fetch(_PLACES, self.group, self._names)
        return [Place((row["topic"], row["partition"]), row["holder"], row["epoch"]) for row in rows]

    async def _give_up(self, connection: Connection, parts: Sequence[Part]) -> None:
        if parts:
            topics, partitions = [part[0] for part in parts], [part[1] for part in parts]
            await connection.execute(_GIVE_UP, self.group, self.member, topics, partitions, GROUPS_CHANNEL)

    async def _take(self, connection: Connection, places: Sequence[Place]) -> bool:
        if not places:
            return True
        topics, partitions = [place.part[0] for place in places], [place.part[1] for place in places]
        epochs = [place.epoch for place in places]
        taken = await connection.fetch(_TAKE, self.group, self.member, topics, partitions, epochs)
        return len(taken) == len(places)

    async def acknowledge(self, connection: Connection, part: Part, epoch: int, position: int) -> bool:
        """The next position to read; False when the lease has gone to another, and nothing is written."""
        return bool(await connection.fetchval(_ACKNOWLEDGE, self.group, self.member, *part, epoch, position))

    async def leave(self, connection: Connection) -> None:
        """Let the others have everything at once."""
        await connection.execute(_LEAVE, self.group, self.member, GROUPS_CHANNEL)


async def rewind(connection: Connection, group: str, topics: Sequence[Topic]) -> None:
    """Put the group back to the start; those who read just now lose their leases and begin again."""
    names, partitions = [topic.name for topic in topics], [topic.partitions for topic in topics]
    await connection.execute(_REWIND, group, names, partitions, GROUPS_CHANNEL)
