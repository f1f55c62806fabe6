"""The auth service that a FastAPI shop would write for nginx auth_request: a token by PyJWT, a tier from Redis."""
import os

import jwt
import redis.asyncio as redis
from fastapi import FastAPI, HTTPException, Request, Response

SECRET = os.environ["JWT_SECRET"]
OPTIONS = {"require": ["exp", "sub"], "verify_aud": False}
app = FastAPI(openapi_url=None)
tiers = redis.Redis(host="127.0.0.1", port=int(os.environ["REDIS_PORT"]), decode_responses=True)


@app.get("/auth")
async def auth(request: Request) -> Response:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        raise HTTPException(401)
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], options=OPTIONS)
    except jwt.InvalidTokenError:
        raise HTTPException(401)
    tier = await tiers.get("tier:" + claims["sub"]) or "free"
    if request.headers.get("x-original-uri", "").startswith("/premium/") and tier != "paid":
        raise HTTPException(403)
    return Response(headers={"X-User-Id": claims["sub"], "X-User-Tier": tier})
