"""A FastAPI site behind Tollgate: a page for everybody and a report for those who paid.

There is no billing code. Tollgate lets /premium through for paying accounts only and says who asks in headers. What
matters is taken from the signed assertion alone, so that nobody who reaches this process past the gate, or through a
gateway that lets a header through, can claim anything. A gateway may send a header empty where there is nothing.

    pip install -r requirements.txt
    tollgate run --config tollgate.toml
    SITE_URL=http://127.0.0.1:8080 uvicorn app:app --port 3000
"""

import os
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException

SITE_URL = os.environ.get("SITE_URL", "http://127.0.0.1:8080")  # site.url in tollgate.toml
AUDIENCE = os.environ.get("AUDIENCE", "127.0.0.1")  # identity.audience; by default the host of site.url
KEYS = jwt.PyJWKClient(f"{SITE_URL}/.well-known/tollgate/jwks.json", cache_keys=True, lifespan=3600)

app = FastAPI()


def visitor(x_entitlement_assertion: Annotated[str | None, Header()] = None) -> dict | None:
    """Who asks: the verified claims (sub, tier, status, features), or None for a stranger."""
    if not x_entitlement_assertion:
        return None
    try:
        key = KEYS.get_signing_key_from_jwt(x_entitlement_assertion)
        return jwt.decode(
            x_entitlement_assertion,
            key,
            algorithms=["EdDSA"],
            audience=AUDIENCE,
            issuer=SITE_URL,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
    except jwt.PyJWTError as error:
        raise HTTPException(401, "the assertion does not verify") from error


def subscriber(visitor: Annotated[dict | None, Depends(visitor)]) -> dict:
    """Refuses whoever came past the gate."""
    if visitor is None:
        raise HTTPException(401, "this page is served through Tollgate only")
    if "archive" not in visitor["features"]:
        raise HTTPException(403, "this page needs the feature `archive`")
    return visitor


@app.get("/")
def home(visitor: Annotated[dict | None, Depends(visitor)]) -> dict:
    """For everybody."""
    tier = visitor.get("tier") if visitor else None
    return {"page": "home", "greeting": f"Welcome, {tier or 'stranger'}!"}


@app.get("/premium/report")
def report(
    subscriber: Annotated[dict, Depends(subscriber)],
    x_entitlement_valid_until: Annotated[str | None, Header()] = None,
) -> dict:
    """For those who paid."""
    return {
        "page": "report",
        "account": subscriber["sub"],
        "tier": subscriber["tier"],
        "features": subscriber["features"],
        "until": x_entitlement_valid_until or None,
    }
