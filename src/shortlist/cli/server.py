"""The server that runs on a home, if one does: commands that change what it holds ask it."""

import http.client
import os
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec

from shortlist.errors import ShortlistError
from shortlist.home import Home
from shortlist.settings import Settings

TOKEN_S = 3_600.0
ANSWER_S = 5.0
PATIENCE_S = 60.0  # a dry run of many slates takes seconds


class ServerRefused(ShortlistError):
    """The running server did not do what a command asked of it."""


def address_of(home: Home) -> str | None:
    """The address of the server that runs on this home; one that died left its file behind."""
    try:
        found = msgspec.json.decode(home.server.read_bytes())
        os.kill(found["pid"], 0)
        # The number may be another process's by now: somebody has to listen, too.
        at = urlsplit(found["url"])
        socket.create_connection((at.hostname or "", at.port or 80), timeout=ANSWER_S).close()
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None
    return str(found["url"])


def service_token(settings: Settings, home: Home, name: str) -> str:
    """A token of scope service for a command."""
    from shortlist.gateway.auth import token_for
    from shortlist.gateway.keys import signing_secret

    return token_for(
        signing_secret(home, settings),
        name,
        scopes=["service"],
        ttl_s=TOKEN_S,
        now_s=time.time(),
        settings=settings.auth,
    )


def ask(url: str, token: str, method: str, path: str, body: object = None) -> Any:
    """The JSON that the server answers. Raises ServerRefused with its own words."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=PATIENCE_S)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, msgspec.json.encode(body) if body is not None else None, headers)
        response = connection.getresponse()
        data = response.read()
        answer = msgspec.json.decode(data) if data else None
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        raise ServerRefused(f"the server at {url} does not answer: {error}") from None
    finally:
        connection.close()
    if response.status >= 400:
        said = answer.get("detail", answer) if isinstance(answer, dict) else answer
        raise ServerRefused(f"{said}")
    return answer
