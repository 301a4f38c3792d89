"""GET /keys: the public keys by which DFSPs verify what the hub and others have signed (docs/keys.md)."""

from __future__ import annotations

from typing import Final

from aiohttp.web import Request, Response

from clearinghub.security.key_set import KeySet

CONTENT_TYPE: Final = "application/jwk-set+json"
_NOT_MODIFIED: Final = 304


class KeysResource:
    """Handler of /keys. The keys are public, so whoever reaches the port may read them."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    async def get_keys(self, request: Request) -> Response:
        """Answer with the JWK set, or that it has not changed since the client has read it."""
        published = self._keys.current()
        # A copy may be used only after it was compared: a key that was revoked must not be used any more.
        headers = {"ETag": published.etag, "Cache-Control": "no-cache"}
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")}
        if known & {published.etag, "*"}:
            return Response(status=_NOT_MODIFIED, headers=headers)
        return Response(body=published.body, headers={**headers, "Content-Type": CONTENT_TYPE})
