"""The kafka:// URL: read strictly, refused with a sentence that never holds the password."""

import pytest

from libs.messaging.kafka.address import KafkaAddress, read_address
from libs.settings import BadSettings, read_settings


def test_an_address_without_an_account_is_plain() -> None:
    assert read_address("kafka://one:9092,two:9093/") == KafkaAddress(("one:9092", "two:9093"), "plaintext")


def test_an_account_means_tls_unless_it_says_otherwise() -> None:
    secure = read_address("kafka://estrie.events:p%40ss%2Fword@one,[::1]:9094")
    assert secure == KafkaAddress(("one:9092", "[::1]:9094"), "sasl_ssl", "estrie.events", "p@ss/word")
    chosen = read_address("kafka://u:p@one:9092?security=sasl_plaintext&mechanism=scram-sha-256")
    assert (chosen.security, chosen.mechanism) == ("sasl_plaintext", "scram-sha-256")


def test_a_certificate_authority_is_a_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    ca = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.touch()
    assert read_address(f"kafka://one?security=ssl&ca={ca}").ca == str(ca)
    with pytest.raises(ValueError, match="n’existe pas"):
        read_address(f"kafka://one?security=ssl&ca={ca}.missing")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("kafka://", "hôte:port"),
        ("kafka://one,,two", "hôte:port"),
        ("kafka://one:port", "port"),
        ("kafka://one:0", "port"),
        ("kafka://one:70000", "port"),
        ("kafka://one/two", "hôte:port"),
        ("kafka://user@one", "secret"),
        ("kafka://:hunter2@one", "compte"),
        ("kafka://user:hunter2@one?security=plaintext", "pas de compte"),
        ("kafka://one?security=sasl_ssl", "il faut un compte"),
        ("kafka://one?security=tls", "plaintext, ssl"),
        ("kafka://user:hunter2@one?mechanism=gssapi", "scram-sha-512"),
        ("kafka://one?mechanism=plain", "qu’avec un compte"),
        ("kafka://one?ca=/etc/hostname", "security=ssl"),
        ("kafka://one?replication=3", "replication"),
        ("kafka://one?security=ssl&security=ssl", "deux fois"),
        ("kafka://one?security", "nom=valeur"),
    ],
)
def test_what_cannot_be_meant_is_refused(monkeypatch: pytest.MonkeyPatch, url: str, says: str) -> None:
    monkeypatch.setenv("BUS_URL", url)
    with pytest.raises(BadSettings) as refused:
        read_settings()
    assert str(refused.value).startswith("BUS_URL : ")
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)
