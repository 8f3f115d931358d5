"""Find who is alike by the name first."""

from alembic import op

revision = "202611290135"
down_revision = "202611290130"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index(op.f("ix_registration_same_person"), table_name="registration")
    op.create_index("ix_registration_same_person", "registration", ["name_key", "session_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_registration_same_person", table_name="registration")
    op.create_index(
        op.f("ix_registration_same_person"), "registration", ["session_id", "name_key"], unique=False
    )
