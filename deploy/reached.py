"""Commands that speak with an instance that is there already: its settings, as its runner completed them."""

from pydantic import SecretStr

from deploy.buses import server_database
from deploy.postgres import server_url
from libs.settings import BadSettings, Settings, read_settings


def reached() -> tuple[Settings, str]:
    """The settings with the secret that DATA_DIR keeps, and the address of the database server.

    Raises `BadSettings`, or `OSError` when nothing runs there.
    """
    settings = read_settings()
    if settings.database_url is not None:
        _ = settings.secret
        return settings, server_database(settings.database_url)
    kept = settings.data_dir / "secret-key"
    if settings.secret_key is None:
        if not kept.is_file():
            raise BadSettings(f"DATA_DIR : il n’y a pas d’instance dans {settings.data_dir}.")
        settings = settings.model_copy(update={"secret_key": SecretStr(kept.read_text().strip())})
    return settings, server_url(settings.data_dir)
