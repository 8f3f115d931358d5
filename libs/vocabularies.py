"""Vocabularies and regions: stable ids, the words people read for them, and the zones they keep."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

DATA = Path(__file__).resolve().parents[1] / "data"

Vocabulary = Literal[
    "themes",
    "target_groups",
    "activity_kinds",
    "modalities",
    "timing",
    "delivered_by",
    "pro_audience",
    "host_request_modes",
    "barriers",
    "impacts",
    "pass_themes",
    "helping_postures",
    "referral_partners",
    "streams",
    "channels",
    "levels",
    "languages",
    "registration_modes",
    "accommodations",
    "consent_purposes",
]


@dataclass(frozen=True, slots=True)
class Term:
    """One id of a vocabulary with its labels in French and English."""

    id: str
    fr: str
    en: str

    def label(self, language: str) -> str:
        return self.en if language == "en" else self.fr


@dataclass(frozen=True, slots=True)
class Region:
    """A Québec administrative region (`03`) or another province or territory (`CA-NB`).

    `timezone` is the IANA zone of most of it; a venue elsewhere in it carries its own.
    """

    code: str
    fr: str
    en: str
    province: str
    timezone: str

    def name(self, language: str) -> str:
        return self.en if language == "en" else self.fr


def terms(vocabulary: Vocabulary) -> tuple[Term, ...]:
    """The terms of a vocabulary, in the order of the programme's documents."""
    return tuple(_vocabularies()[vocabulary].values())


def ids(vocabulary: Vocabulary) -> frozenset[str]:
    return frozenset(_vocabularies()[vocabulary])


def label(vocabulary: Vocabulary, term_id: str, language: str = "fr") -> str:
    """The words for an id. One that a newer peer added is shown as it is: kept, never dropped."""
    term = _vocabularies()[vocabulary].get(term_id)
    return term.label(language) if term else term_id


def choices(vocabulary: Vocabulary, language: str = "fr") -> list[tuple[str, str]]:
    """`(id, label)` pairs for a form's field."""
    return [(term.id, term.label(language)) for term in terms(vocabulary)]


def regions() -> tuple[Region, ...]:
    """The 17 regions of Québec by code, then the other provinces and territories from east to west."""
    return tuple(_regions().values())


def region(code: str) -> Region | None:
    return _regions().get(code)


def region_name(code: str, language: str = "fr") -> str:
    """The region's name, or the code itself when nobody here knows it."""
    found = _regions().get(code)
    return found.name(language) if found else code


def region_choices(language: str = "fr") -> list[tuple[str, str]]:
    """`(code, name)` pairs for a form's field."""
    return [(item.code, item.name(language)) for item in regions()]


_ENGLISH_PROVINCES = {
    "CA-NB": "New Brunswick",
    "CA-NS": "Nova Scotia",
    "CA-PE": "Prince Edward Island",
    "CA-NL": "Newfoundland and Labrador",
    "CA-ON": "Ontario",
    "CA-MB": "Manitoba",
    "CA-SK": "Saskatchewan",
    "CA-AB": "Alberta",
    "CA-BC": "British Columbia",
    "CA-YT": "Yukon",
    "CA-NT": "Northwest Territories",
    "CA-NU": "Nunavut",
}


@cache
def _vocabularies() -> Mapping[str, Mapping[str, Term]]:
    return {
        name: {item["id"]: Term(item["id"], _typeset(item["fr"]), item["en"]) for item in items}
        for name, items in _read("vocabularies.json").items()
    }


@cache
def _regions() -> Mapping[str, Region]:
    quebec = [
        Region(item["code"], item["name"], item["name"], item["iso"], item["timezones"][0]["tz"])
        for item in _read("qc_regions.json")
    ]
    elsewhere = [
        Region(
            code := item["province"],
            item["province_name"],
            _ENGLISH_PROVINCES[code],
            code,
            item["regions"][0]["tz"],
        )
        for item in _read("francophone_regions_hors_quebec.json")
    ]
    return {item.code: item for item in (*quebec, *elsewhere)}


def _typeset(french: str) -> str:
    """French keeps a no-break space before its double punctuation; the documents have a plain one."""
    return french.replace(" :", "\u00a0:")


def _read(name: str) -> Any:
    return json.loads((DATA / name).read_text(encoding="utf-8"))
