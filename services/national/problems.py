"""What the national service refuses, beyond malformed input."""

from libs.web.i18n import _
from libs.web.problems import Conflict, Malformed, NotFound


class InstanceUnknown(NotFound):
    slug = "instance-not-found"
    title = _("Cette instance n’est pas inscrite au registre")


class SessionUnknown(NotFound):
    slug = "session-not-found"
    title = _("Aucune instance n’a annoncé cette séance")


class KeyUnknown(NotFound):
    slug = "key-not-found"
    title = _("Cette instance n’a pas de clé de ce nom")


class InstanceKnown(Conflict):
    slug = "instance-known"
    title = _("Une instance de ce nom est déjà inscrite")


class KeyKnown(Conflict):
    slug = "key-known"
    title = _("Cette instance a déjà cette clé")
    detail = _("Une clé terminée ou révoquée ne revient pas. Demandez à l’instance d’en créer une autre.")


class EpochNotNewer(Conflict):
    slug = "epoch-not-newer"
    title = _("Cette époque n’est pas plus récente que celle qui est confirmée")


class NothingChanges(Conflict):
    slug = "nothing-changes"
    title = _("C’est déjà ainsi")


class NotASlug(Malformed):
    detail = _("Le nom court a de 1 à 31 lettres a-z, chiffres ou traits d’union, une lettre d’abord.")
