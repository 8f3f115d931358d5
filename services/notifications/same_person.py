"""Which calls are to the same person: SQL conditions, for the list that several desks work at once."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased
from sqlmodel import col

from services.notifications.mailing import BY_HAND
from services.notifications.models import Delivery, RegistrationCopy


def is_open_call() -> sa.ColumnElement[bool]:
    """Whether somebody of the team has still to tell it."""
    status = col(Delivery.status)
    return sa.or_(status == "failed", sa.and_(status == "queued", col(Delivery.route).in_(BY_HAND)))


def is_of_the_same(id_: UUID) -> sa.ColumnElement[bool]:
    """Whether a delivery, joined with its registration, is to the person whom the delivery `id_` is to.

    That is who has the same registration, or one of the same telephone numbers.
    """
    mine, me = aliased(Delivery), aliased(RegistrationCopy)
    about = sa.select(col(mine.registration_id)).where(col(mine.id) == id_).scalar_subquery()
    numbers = sa.union_all(
        *(
            sa.select(_contact(me, route)).where(col(me.id) == about, _contact(me, route).is_not(None))
            for route in ("mobile", "phone")
        )
    ).subquery()
    shared = sa.select(numbers.c[0])
    return sa.or_(
        col(Delivery.registration_id) == about,
        _contact(RegistrationCopy, "mobile").in_(shared),
        _contact(RegistrationCopy, "phone").in_(shared),
    )


def _contact(copy: type[RegistrationCopy], route: str) -> sa.ColumnElement[str | None]:
    value: sa.ColumnElement[str | None] = col(copy.state)[("contact", route)].astext
    return value
