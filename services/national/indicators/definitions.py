"""Every indicator of the programme: its name, its formula in words, its limits, and what it waits for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from libs.equity import ASSISTED
from libs.web.i18n import LazyString, _
from services.national.indicators.measures import (
    COUNT_DIMENSIONS,
    SESSION_DIMENSIONS,
    STATES,
    WEB,
    Count,
    Measure,
    of_buckets,
    of_states,
)


@dataclass(frozen=True, slots=True)
class Indicator:
    """`one_of`: its measures are ways to count the same thing; the first that can answer does.

    `waits_for` is set where today's data don't feed it: such an indicator has no measures.
    """

    id: str
    name: LazyString
    formula: LazyString
    limits: LazyString | None = None
    measures: tuple[Measure, ...] = ()
    waits_for: LazyString | None = None
    one_of: bool = False

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Everything that one of its measures can be told apart by."""
        return tuple(dict.fromkeys(name for measure in self.measures for name in measure.dimensions))


_NOT_REGION = tuple(name for name in SESSION_DIMENSIONS if name != "region")
_NOT_CHANNEL = tuple(name for name in COUNT_DIMENSIONS if name != "channel")
_ENDED = ("attended", "absent")

_ALL: Final = (
    Indicator(
        "I1",
        _("Séances tenues"),
        _("Nombre de séances qui ont eu lieu."),
        _("Une séance annoncée devient tenue à sa fin, sauf si elle a été annulée."),
        (Measure("", None, "sessions", SESSION_DIMENSIONS, (Count("held", ("held",)),), "total"),),
    ),
    Indicator(
        "I2",
        _("Couverture territoriale"),
        _("Régions du Québec où une séance au moins a été tenue, divisées par les 17 régions."),
        _(
            "Les provinces et territoires touchés hors du Québec sont comptés à part. Une séance en ligne "
            "compte pour la région qui la propose."
        ),
        (
            Measure(
                "quebec",
                _("Régions du Québec"),
                "sessions",
                _NOT_REGION,
                (Count("regions", ("regions",)), Count("all_regions", ("all_regions",), varies=False)),
                "ratio",
                "percent",
            ),
            Measure(
                "elsewhere",
                _("Provinces et territoires hors du Québec"),
                "sessions",
                _NOT_REGION,
                (Count("provinces", ("provinces",)),),
                "total",
            ),
        ),
    ),
    Indicator(
        "I3",
        _("Lieux actifs"),
        _("Nombre de lieux différents où une séance au moins a été tenue."),
        _(
            "Un lieu qui sert deux régions ou deux mois est compté dans chacun : les parties peuvent "
            "dépasser le total. Les séances en ligne n’ont pas de lieu. Les structures dont l’équipe a été "
            "formée s’ajouteront avec l’indicateur I22."
        ),
        (Measure("", None, "sessions", SESSION_DIMENSIONS, (Count("venues", ("venues",)),), "total"),),
    ),
    Indicator(
        "I4",
        _("Inscriptions"),
        _("Nombre d’inscriptions : places prises, places offertes et demandes en attente."),
        _(
            "Des participations, pas des personnes. Sans canal ni état, le nombre suit les places "
            "publiques, en direct, et ne compte pas les inscriptions annulées. Par canal ou par état, il "
            "vient des décomptes quotidiens et compte toutes les inscriptions, même annulées. Qui attend "
            "plusieurs séances à la fois compte, en direct, dans la file de chacune ; dans les décomptes, "
            "son attente compte une fois, ou à chaque séance où une place lui a été offerte."
        ),
        (
            Measure("", None, "sessions", SESSION_DIMENSIONS, (Count("live", ("live",)),), "total"),
            Measure(
                "", None, "counts", (*COUNT_DIMENSIONS, "state"), (of_states("created", *STATES),), "total"
            ),
        ),
        one_of=True,
    ),
    Indicator(
        "I6",
        _("Participations"),
        _("Présences des personnes inscrites, plus les personnes venues sans s’inscrire."),
        _(
            "Une personne qui vient trois fois compte trois fois. Les venues sans inscription sont dites à "
            "part."
        ),
        (
            Measure(
                "",
                None,
                "counts",
                COUNT_DIMENSIONS,
                (
                    of_states("attended", "attended"),
                    Count("walk_ins", ("walk_ins",)),
                    Count("all", ("state:attended", "walk_ins")),
                ),
                "total",
            ),
        ),
    ),
    Indicator(
        "I7",
        _("Taux de présence"),
        _("Présences divisées par les présences et les absences."),
        _("Les absences excusées ne comptent pas, ni les venues sans inscription."),
        (
            Measure(
                "",
                None,
                "counts",
                COUNT_DIMENSIONS,
                (of_states("attended", "attended"), of_states("ended", *_ENDED)),
                "ratio",
                "percent",
            ),
        ),
    ),
    Indicator(
        "I8",
        _("Taux de remplissage"),
        _("Places prises divisées par les places, pour les séances tenues."),
        _("D’après les places publiques. Une séance hybride additionne ses places sur place et en ligne."),
        (
            Measure(
                "",
                None,
                "sessions",
                SESSION_DIMENSIONS,
                (Count("taken", ("taken",)), Count("capacity", ("capacity",))),
                "ratio",
                "percent",
            ),
        ),
    ),
    Indicator(
        "I9",
        _("Demande non satisfaite"),
        _(
            "Inscriptions encore en attente au début de la séance, divisées par les places prises et les "
            "attentes à ce moment."
        ),
        _(
            "Les personnes qui ont renoncé avant le début ne comptent pas. Qui attend plusieurs séances à la "
            "fois compte une seule fois, tant qu’aucune place ne lui a été offerte."
        ),
        (
            Measure(
                "",
                None,
                "counts",
                COUNT_DIMENSIONS,
                (
                    Count("waiting", ("waitlisted_at_start",)),
                    Count("wished", ("confirmed_at_start", "waitlisted_at_start")),
                ),
                "ratio",
                "percent",
            ),
        ),
    ),
    Indicator(
        "I10",
        _("Places offertes à la liste d’attente"),
        _("Offres acceptées divisées par les offres faites, et délai médian avant de répondre oui."),
        _(
            "Le délai médian est lu dans des tranches : il est dit avec la tranche où il se trouve. Une "
            "offre qui tombe parce que la personne en a accepté une autre compte parmi les offres faites."
        ),
        (
            Measure(
                "conversion",
                _("Offres acceptées"),
                "counts",
                COUNT_DIMENSIONS,
                (Count("accepted", ("offers_accepted",)), Count("offers", ("offers_made",))),
                "ratio",
                "percent",
            ),
            Measure(
                "answer",
                _("Délai de réponse"),
                "counts",
                COUNT_DIMENSIONS,
                of_buckets("answer_minutes"),
                "histogram",
                "minutes",
            ),
        ),
    ),
    Indicator(
        "I11",
        _("Heures de formation"),
        _("Minutes de présence, divisées par 60."),
        _(
            "Les heures des personnes venues sans s’inscrire sont dites à part. Dans une publication, les "
            "heures sont arrondies à 35 h, pour ne pas en dire plus que les participations."
        ),
        (
            Measure(
                "",
                None,
                "counts",
                COUNT_DIMENSIONS,
                (
                    Count("attended_hours", ("attended_minutes",)),
                    Count("walk_in_hours", ("walk_in_minutes",)),
                    Count("all_hours", ("attended_minutes", "walk_in_minutes")),
                ),
                "total",
                "hours",
            ),
        ),
    ),
    Indicator(
        "I19",
        _("Part des canaux assistés"),
        _(
            "Inscriptions faites avec de l’aide (téléphone, comptoir, organisme référent, papier), divisées "
            "par toutes les inscriptions. Écart entre leur taux de présence et celui du Web."
        ),
        _(
            "Un écart au-dessus de zéro : on vient davantage après une inscription assistée. L’attente de "
            "plusieurs séances compte comme pour I4, dans les décomptes."
        ),
        (
            Measure(
                "share",
                _("Part des inscriptions"),
                "counts",
                _NOT_CHANNEL,
                (of_states("assisted", *STATES, channels=ASSISTED), of_states("created", *STATES)),
                "ratio",
                "percent",
            ),
            Measure(
                "gap",
                _("Écart de présence avec le Web"),
                "counts",
                _NOT_CHANNEL,
                (
                    of_states("assisted_attended", "attended", channels=ASSISTED),
                    of_states("assisted_ended", *_ENDED, channels=ASSISTED),
                    of_states("web_attended", "attended", channels=WEB),
                    of_states("web_ended", *_ENDED, channels=WEB),
                ),
                "gap",
                "points",
            ),
        ),
    ),
    Indicator(
        "I20",
        _("Équité du temps"),
        _(
            "Délai médian entre l’ouverture des inscriptions et l’inscription : avec de l’aide, et par le "
            "Web. Places gardées pour un canal en ce moment."
        ),
        _(
            "Le délai médian est lu dans des tranches : il est dit avec la tranche où il se trouve. Les "
            "places libérées s’ajouteront quand les instances les compteront. L’attente de plusieurs séances "
            "n’a pas de délai : elle entre d’elle-même dans chaque file, dès l’ouverture."
        ),
        (
            Measure(
                "assisted",
                _("Délai avec de l’aide"),
                "counts",
                _NOT_CHANNEL,
                of_buckets("minutes_from_opening", ASSISTED),
                "histogram",
                "minutes",
            ),
            Measure(
                "web",
                _("Délai par le Web"),
                "counts",
                _NOT_CHANNEL,
                of_buckets("minutes_from_opening", WEB),
                "histogram",
                "minutes",
            ),
            Measure(
                "held",
                _("Places gardées"),
                "sessions",
                SESSION_DIMENSIONS,
                (Count("held_seats", ("held_seats",)),),
                "total",
            ),
        ),
    ),
    Indicator(
        "I23",
        _("Annulations"),
        _(
            "Séances annulées divisées par les séances annoncées, et délai médian entre l’annulation et le "
            "début."
        ),
        _("Une séance annulée après son début compte un délai de zéro."),
        (
            Measure(
                "share",
                _("Séances annulées"),
                "sessions",
                SESSION_DIMENSIONS,
                (Count("cancelled", ("cancelled",)), Count("scheduled", ("scheduled",))),
                "ratio",
                "percent",
            ),
            Measure(
                "notice",
                _("Préavis"),
                "sessions",
                SESSION_DIMENSIONS,
                (Count("notice", ("notice",)), Count("notices", ("notices",))),
                "median",
                "minutes",
            ),
        ),
    ),
    Indicator(
        "I24",
        _("Fraîcheur"),
        _(
            "Âge de la dernière nouvelle reçue de chaque instance, et part reçue de ce qu’elle dit avoir "
            "envoyé."
        ),
        _("Au-delà de deux minutes de silence, une instance est dite hors ligne."),
        (
            Measure(
                "age",
                _("Dernière réception"),
                "instances",
                ("instance",),
                (Count("age", ("age",)),),
                "age",
                "seconds",
            ),
            Measure(
                "completeness",
                _("Part reçue"),
                "instances",
                ("instance",),
                (Count("received", ("received",)), Count("declared", ("declared",))),
                "ratio",
                "percent",
            ),
        ),
    ),
    Indicator(
        "I5",
        _("Personnes touchées"),
        _("Personnes différentes venues une fois au moins."),
        _("Chaque instance compte les siennes : qui va dans deux réseaux y compte deux fois."),
        waits_for=_("Les profils mensuels de chaque région, arrondis avant de partir."),
    ),
    Indicator(
        "I12",
        _("Parcours complet du Pass"),
        _("Pass d’au moins 600 minutes de présence, divisés par les pass commencés et clos."),
        waits_for=_("Le Pass numérique de 10 heures et son registre."),
    ),
    Indicator(
        "I13",
        _("Personnes très satisfaites"),
        _("Réponses « très satisfait » divisées par les réponses valables, et taux de réponse."),
        waits_for=_("Les questionnaires de fin de séance."),
    ),
    Indicator(
        "I14",
        _("Part de chaque groupe cible"),
        _("Personnes qui se déclarent d’un groupe, divisées par les personnes qui ont répondu."),
        _("Les huit groupes se recoupent : leurs parts ne font pas 100 %."),
        waits_for=_("Les profils mensuels de chaque région, arrondis avant de partir."),
    ),
    Indicator(
        "I15",
        _("Femmes et autres genres"),
        _("Personnes de chaque genre déclaré, divisées par celles qui l’ont déclaré."),
        waits_for=_("La question du genre, facultative, sur le formulaire."),
    ),
    Indicator(
        "I16",
        _("50 ans et plus, 65 ans et plus"),
        _("Personnes de chaque tranche d’âge, divisées par celles qui l’ont dite."),
        waits_for=_("La question de l’âge, facultative, sur le formulaire."),
    ),
    Indicator(
        "I17",
        _("Nouveaux publics du lieu"),
        _("Personnes qui ne connaissaient pas le lieu, divisées par celles qui ont répondu."),
        waits_for=_("Les questionnaires de fin de séance."),
    ),
    Indicator(
        "I18",
        _("Engagement ensuite"),
        _("Personnes réinscrites dans les 90 jours, divisées par celles venues pour la première fois."),
        waits_for=_("Le suivi d’une personne d’une séance à l’autre, dans sa région."),
    ),
    Indicator(
        "I21",
        _("Adaptations honorées"),
        _("Adaptations prêtes deux jours avant, divisées par les adaptations demandées."),
        waits_for=_("Le suivi des adaptations par les régions."),
    ),
    Indicator(
        "I22",
        _("Personnel formé"),
        _("Personnes différentes venues à une formation professionnelle, et leurs heures."),
        waits_for=_("Les profils du volet professionnel, arrondis avant de partir."),
    ),
    Indicator(
        "I25",
        _("Atteinte de la cible"),
        _("Personnes touchées divisées par la cible du programme."),
        waits_for=_("L’indicateur I5, et une cible pour chaque programme."),
    ),
)

INDICATORS: Final[Mapping[str, Indicator]] = {indicator.id: indicator for indicator in _ALL}
"""By id: those that today's data feed first, each part in the order of its numbers."""
FED: Final = tuple(indicator for indicator in _ALL if indicator.measures)
WAITING: Final = tuple(indicator for indicator in _ALL if not indicator.measures)
