"""GET /v1/signing-key: with what reports and bundles are signed."""

from fastapi import APIRouter

from app.access.auth import MayUse
from app.http.queries import NoQuery
from app.jobs.services import ServicesDep
from app.signing.key_store import KeyStore
from app.signing.schemas import SigningKeys
from app.signing.service import signing_keys

router = APIRouter(prefix="/v1/signing-key", tags=["audits"])


@router.get("", summary="The keys that reports and bundles are signed with")
def get_signing_key(services: ServicesDep, _caller: MayUse, _query: NoQuery) -> SigningKeys:
    """Public keys alone. `serval verify FILE --key FINGERPRINT` asks for one that you know: note it
    here, once, over a connection that you trust."""
    return signing_keys(KeyStore.of(services.storage, services.settings))
