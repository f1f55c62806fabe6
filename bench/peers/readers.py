"""The site itself in FastAPI, with no gate in front: each request's token is verified and its user's row read by SQL."""
import os

import jwt
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SECRET = os.environ["JWT_SECRET"]
OPTIONS = {"require": ["exp", "sub"], "verify_aud": False}
PAGE = "x" * 1024
app = FastAPI(openapi_url=None)
engine = create_async_engine(os.environ["SITE_DATABASE"], pool_size=16, max_overflow=0)
Session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "site_users"
    id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str]
    tier: Mapped[str]


async def session():
    async with Session() as opened:
        yield opened


async def signed_in(request: Request, rows: AsyncSession = Depends(session)) -> User:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer":
        raise HTTPException(401)
    try:
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], options=OPTIONS)
    except jwt.InvalidTokenError:
        raise HTTPException(401)
    user = (await rows.execute(select(User).where(User.id == claims["sub"]))).scalar_one_or_none()
    if user is None:
        raise HTTPException(401)
    return user


async def paid(user: User = Depends(signed_in)) -> User:
    if user.tier != "paid":
        raise HTTPException(403)
    return user


def told(user: User) -> PlainTextResponse:
    return PlainTextResponse(f"x-user-id: {user.id}\r\nx-user-tier: {user.tier}\r\n")


@app.get("/premium/page")
async def page(user: User = Depends(paid)):
    return PlainTextResponse(PAGE)


@app.get("/premium/echo")
async def paid_echo(user: User = Depends(paid)):
    return told(user)


@app.get("/open/echo")
async def open_echo(user: User = Depends(signed_in)):
    return told(user)
