"""What a registration can be refused for."""

from libs.web.i18n import _
from libs.web.problems import Conflict, Gone, Malformed, NotFound, Unavailable


class SessionUnknown(NotFound):
    slug = "session-unknown"
    title = _("Cet atelier n’existe pas")
    detail = _("Il n’est peut-être pas encore publié.")


class RegistrationUnknown(NotFound):
    slug = "registration-unknown"
    title = _("Cette inscription n’existe pas")


class WaitUnknown(NotFound):
    slug = "wait-unknown"
    title = _("Cette attente n’existe pas")


class RegistrationClosed(Conflict):
    slug = "registration-closed"
    title = _("Les inscriptions sont terminées")


class NoWebRegistration(RegistrationClosed):
    title = _("On ne s’inscrit pas sur le Web à cet atelier")
    detail = _("Téléphonez-nous ou parlez au personnel de la bibliothèque.")


class NotOpenYet(Conflict):
    slug = "not-open-yet"
    title = _("Les inscriptions ne sont pas encore ouvertes")


class SessionCancelled(Conflict):
    slug = "session-cancelled"
    title = _("Cet atelier est annulé")


class SessionFull(Conflict):
    slug = "session-full"
    title = _("Cet atelier est complet et sa liste d’attente aussi")


class DrawCancelled(Conflict):
    slug = "draw-cancelled"
    title = _("Le tirage au sort de cet atelier a été annulé")
    detail = _("Cet atelier ne prend plus de demande.")


class DrawOver(Conflict):
    slug = "draw-over"
    title = _("Il n’y a pas de tirage à venir")
    detail = _("Le tirage a déjà eu lieu, ou il a été annulé.")


class DrawUnknown(NotFound):
    slug = "draw-unknown"
    title = _("Il n’y a pas de tirage au sort pour cet atelier")


class MaybeDuplicate(Conflict):
    slug = "maybe-duplicate"
    title = _("Une inscription au même nom existe déjà")
    detail = _("Est-ce une autre personne ? Si oui, dites-le et recommencez.")


class SeatKindUnknown(Malformed):
    slug = "seat-kind-unknown"
    detail = _("Cet atelier n’a pas ce genre de place : sur place ou en ligne.")


class KeyReused(Malformed):
    slug = "idempotency-key-reused"
    title = _("Cette clé a déjà servi pour une autre demande")


class OfferOver(Conflict):
    slug = "offer-over"
    title = _("Cette place n’est plus gardée pour vous")
    detail = _("Le délai pour répondre est passé, ou vous avez déjà répondu.")


class AlreadyOver(Conflict):
    slug = "already-over"
    title = _("Cette inscription est déjà terminée")


class LinkRevoked(Gone):
    slug = "link-revoked"
    title = _("Ce lien a été remplacé")
    detail = _("Utilisez le lien du dernier message, ou téléphonez-nous.")


class LinkUnknown(NotFound):
    """The token of a person's own page isn't one of ours: cut off on the way, or typed wrong."""

    slug = "link-unknown"
    title = _("Ce lien ne mène à aucune inscription")
    detail = _("Il est peut-être incomplet. Ouvrez-le de nouveau depuis votre message.")


class NoCalendarEntry(NotFound):
    slug = "no-calendar-entry"
    title = _("Il n’y a rien à mettre au calendrier")
    detail = _("Le calendrier sert aux personnes qui ont une place.")


class NotWaiting(Conflict):
    slug = "not-waiting"
    title = _("Cette personne n’est plus dans la file d’attente")
    detail = _("Relisez la file : quelque chose vient de changer.")


class PartyTooLarge(Conflict):
    slug = "party-too-large"
    title = _("Vous êtes trop nombreux pour une seule inscription")
    detail = _("Inscrivez-vous en plusieurs fois, ou téléphonez-nous.")


class NotSmaller(Conflict):
    slug = "not-smaller"
    title = _("Ce nombre ne convient pas")
    detail = _("Un groupe peut seulement devenir plus petit, et une personne au moins doit rester.")


class TooEarly(Conflict):
    slug = "too-early"
    title = _("Un appel sans réponse ne suffit pas encore")
    detail = _("La veille et le jour même seulement : avant, la personne garde son délai.")


class NotBegun(Conflict):
    slug = "not-begun"
    title = _("L’atelier n’a pas encore commencé")
    detail = _("Les présences se notent à partir de l’heure du début.")


class NoSeat(Conflict):
    slug = "no-seat"
    title = _("Cette personne n’avait pas de place")
    detail = _("On note la présence des personnes qui ont une place. Comptez les autres sans leur nom.")


class SameSession(Conflict):
    slug = "same-session"
    title = _("La personne est déjà inscrite à cet atelier")


class AlreadyRegistered(Conflict):
    slug = "already-registered"
    title = _("La personne est déjà inscrite à l’autre atelier")
    detail = _("Annulez l’inscription en trop au lieu de la déplacer.")


class TooManyAtOnce(Unavailable):
    """The lane's queue is full: nothing of the request was looked at."""

    slug = "too-many-at-once"
    title = _("Beaucoup de personnes s’inscrivent en ce moment")
    detail = _("Rien n’a été enregistré. Réessayez dans quelques secondes.")
