"""Which stops of a wait for many sessions count as registrations: who asked once is counted once.

A stop at which the person was given a seat, or asked whether they take one and said no or nothing, counts
where it is. Of a wait that has no such stop, one stands for it: one in whose line it still stands before one
that has ended, one of a session that was not cancelled before others, then the line that it joined first.
So a stop that ended because another was accepted counts nowhere. Erasing people changes nothing of this.
"""


def counted_stops(waits: str) -> str:
    """The SQL for `id`, `session_id`, `seq`, and whether it `counts`, of all stops of these waits.

    `waits` is the SQL for their ids.
    """
    return f"""
        select id, session_id, seq, came_to_something or row_number() over (
            partition by wait_id
            order by came_to_something desc, status <> 'waitlisted', is_cancelled, created_at, session_id
        ) = 1 as counts
        from (
            select stop.id, session_id, seq, wait_id, stop.status, stop.created_at,
                session.status is not distinct from 'cancelled' as is_cancelled,
                stop.status not in ('pending', 'waitlisted', 'cancelled') or confirmed_at is not null
                    as came_to_something
            from registration as stop join session on session.id = session_id
            where wait_id in ({waits})
        ) as stops
    """  # noqa: S608 - both parts are constants of this program
