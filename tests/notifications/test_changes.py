"""What a person reads as changed."""

from services.notifications.changes import changes
from tests.notifications.facts import VENUE, moved, session_facts

BEFORE = session_facts()


def test_a_new_day_is_a_new_date_whatever_its_hour() -> None:
    assert changes(BEFORE, moved(BEFORE, days=2, hours=1)) == {"date"}


def test_another_hour_of_the_same_day_is_a_new_time() -> None:
    assert changes(BEFORE, moved(BEFORE, hours=1)) == {"time"}


def test_place_link_and_title_are_told_apart() -> None:
    elsewhere = BEFORE.model_copy(
        update={"venue": VENUE.model_copy(update={"name": "Bibliothèque Saint-Roch"})}
    )
    assert changes(BEFORE, elsewhere) == {"place"}
    online = BEFORE.model_copy(update={"modality": "online", "venue": None})
    assert changes(BEFORE, online) == {"place"}
    linked = online.model_copy(update={"online_url": "https://video.example.org/a"})
    assert changes(online, linked) == {"link"}
    assert changes(BEFORE, BEFORE.model_copy(update={"title": "Le courriel"})) == {"title"}


def test_what_nobody_reads_is_no_change() -> None:
    same = BEFORE.model_copy(update={"venue": VENUE.model_copy(update={"latitude": 46.0}), "status": "held"})
    assert changes(BEFORE, same) == set()


def test_moved_and_moved_back_is_no_change() -> None:
    assert changes(BEFORE, moved(moved(BEFORE, days=3), days=-3)) == set()
