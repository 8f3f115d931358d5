"""The same person, as far as anybody can tell: of one name, and reached in one of the same ways (rule S5)."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlmodel import col

from services.registrations.models import Registration, Wait


def same_person(
    table: type[Registration] | type[Wait], name_key: str, ways: Mapping[str, str]
) -> sa.ColumnElement[bool]:
    """Whether a row is about somebody of this name whom one of these `inputs.ways_of` reaches."""
    alike = [
        (sa.func.lower(col(table.email)) if way == "email" else col(getattr(table, way))) == value
        for way, value in ways.items()
    ]
    return sa.and_(col(table.name_key) == name_key, sa.or_(sa.false(), *alike))
