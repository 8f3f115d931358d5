"""Where an SMS gateway says what became of a text message (docs/sms.md)."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs.clock import utc_now
from libs.web.app import Transaction, service_of
from libs.web.i18n import _
from libs.web.problems import Malformed, NotFound, TooLarge, Unauthorized
from services.notifications import settling
from services.notifications.receipts import BadSignature, Unreadable, read_receipt
from services.notifications.sms import RECEIPTS, Gateway

router = APIRouter(tags=["sms"])

LONGEST_BODY = 16 * 1024


class BadReceipt(Unauthorized):
    slug = "bad-receipt"
    title = _("Cet accusé de réception n’est pas signé comme il faut")
    detail = _("La signature manque, n’est pas la bonne ou date de plus de cinq minutes.")


class UnreadableReceipt(Malformed):
    slug = "unreadable-receipt"
    title = _("Cet accusé de réception ne peut pas être lu")
    detail = _("Il y manque le numéro du message ou ce qu’il est devenu.")


@router.post(RECEIPTS, status_code=204)
async def receive(request: Request, tx: Transaction) -> Response:
    """A delivery receipt in the dialect of SMS_URL, signed by the gateway; the same one again is taken too.

    404 without SMS_URL or for an unknown message, 401 for a signature that doesn't hold, 422 for what is
    signed and no receipt.
    """
    settings = service_of(request).settings
    gateway = Gateway.of(settings)
    if gateway is None:
        raise NotFound
    body = await _body(request)
    try:
        # The gateway's clock and the machine's: the decision clock, which tests move, is for seats.
        receipt = read_receipt(gateway, request.headers, body, request.url.query, utc_now())
    except BadSignature:
        raise BadReceipt from None
    except Unreadable:
        raise UnreadableReceipt from None
    await settling.settle(tx, settings, receipt)
    return Response(status_code=204)


async def _body(request: Request) -> bytes:
    """The body, unless it is longer than any receipt: whoever sends it hasn't shown yet who they are."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise TooLarge
    return bytes(body)
