"""Which service answers which address."""

import pytest

from deploy.dispatch import service_at


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/", "events"),
        ("/seances/123", "events"),
        ("/calendrier.ics", "events"),
        ("/coordination/tournees", "events"),
        ("/connexion/some-token", "events"),
        ("/static/main.css", "events"),
        ("/api/events/v1/sessions", "events"),
        ("/inscription/123", "registrations"),
        ("/inscriptions", "events"),
        ("/mon-inscription/abc/annuler", "registrations"),
        ("/attendre", "registrations"),
        ("/mon-attente/abc/terminer", "registrations"),
        ("/guichet", "registrations"),
        ("/guichet/", "registrations"),
        ("/guichet/seances/1", "registrations"),
        ("/guichet/appels", "notifications"),
        ("/guichet/appels/1", "notifications"),
        ("/abonnement", "notifications"),
        ("/desabonnement/abc", "notifications"),
        ("/api/registrations/docs", "registrations"),
        ("/api/notifications/openapi.json", "notifications"),
        ("/api/unknown", "events"),
        ("/boite-envoi", "boite-envoi"),
        ("/boite-envoi.json", "boite-envoi"),
        ("/boite-envoi/1.eml", "boite-envoi"),
        ("/health", "operations"),
        ("/health/events", "events"),
        ("/health/registrations", "registrations"),
        ("/metrics", "operations"),
        ("/asyncapi.json", "operations"),
        ("/schemas/seats.json", "operations"),
        ("//guichet", "events"),
        ("", "events"),
    ],
)
def test_the_longest_place_wins(path: str, service: str) -> None:
    assert service_at(path) == service
