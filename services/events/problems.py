"""What the events service refuses, beyond malformed input: its own slugs of the Problem tree."""

from libs.web.i18n import _
from libs.web.problems import Conflict, NotFound, PreconditionFailed


class UnknownSession(NotFound):
    slug = "session-not-found"
    title = _("Cette séance n’existe pas")
    detail = _("Elle n’est pas encore publiée, ou l’adresse est incomplète.")


class UnknownThing(NotFound):
    title = _("Nous n’avons pas trouvé ce que vous cherchez")


class Stale(PreconditionFailed):
    """Somebody else changed it first. `current` is the state to compare with, as the API shows it."""


class SessionCancelled(Conflict):
    slug = "session-cancelled"
    title = _("Cette séance est annulée")
    detail = _("Une séance annulée ne change plus. Créez-en une nouvelle.")


class SessionHeld(Conflict):
    slug = "session-held"
    title = _("Cette séance a déjà eu lieu")


class SessionOver(Conflict):
    slug = "session-over"
    title = _("Cette séance est déjà passée")
    detail = _("Choisissez une date à venir, puis publiez.")


class DrawCommitted(Conflict):
    slug = "draw-committed"
    title = _("Le tirage au sort de cette séance ne peut plus changer")
    detail = _(
        "Ses règles sont publiques depuis la publication. On peut seulement annuler le tirage, au guichet."
    )


class DrawPast(Conflict):
    slug = "draw-past"
    title = _("La fermeture du tirage au sort est déjà passée")
    detail = _("Choisissez une fermeture à venir, puis publiez.")


class NotADraft(Conflict):
    slug = "not-a-draft"
    title = _("Seul un brouillon peut être supprimé")
    detail = _("Une séance publiée s’annule : les personnes inscrites sont alors averties.")


class NeverPublished(Conflict):
    slug = "not-published"
    title = _("Cette séance n’est pas publiée")
    detail = _("Un brouillon se supprime : personne n’a à être averti.")


class InUse(Conflict):
    slug = "in-use"
    title = _("Quelque chose en dépend encore")
    detail = _("Retirez d’abord ce qui s’y rattache.")


class TourCancelled(Conflict):
    slug = "tour-cancelled"
    title = _("Cette tournée est annulée")
