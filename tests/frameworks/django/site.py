"""A site with Django's own sessions and users, as docs/identity.md has it: it signs in and out, and its pages show whom they are told of."""

import os
import sys

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a test",
)

import django  # noqa: E402

django.setup()

from django.contrib.auth import get_user_model, login, logout  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.urls import path, re_path  # noqa: E402


def sign_in(request):
    pk = int(request.GET["as"])
    user, _ = get_user_model().objects.get_or_create(pk=pk, username=str(pk))
    login(request, user)
    return HttpResponse("signed in")


def sign_out(request):
    logout(request)
    return HttpResponse("signed out")


def session(request):
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    return JsonResponse({"user": {"id": request.user.pk}})


def page(request):
    return JsonResponse({"account": request.headers.get("X-Entitlement-Account")})


urlpatterns = [
    path("login", sign_in),
    path("logout", sign_out),
    path("internal/session", session),
    re_path("", page),
]

call_command("migrate", verbosity=0)
call_command("runserver", f"127.0.0.1:{sys.argv[1]}", use_reloader=False)
