"""A client of a web API, sync and async: its settings come from the client or from the call.

The timeout and the token are the client's unless a call says otherwise, and `token=None` in a call
means none for this call. The tenant has to come from exactly one place. The server is a function,
so nothing goes over the network. Run it:

    python examples/http_client.py
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import attrs
import httpx

from mergeparam import MERGED, UNSET, MergeError, Param, find_unset, mergeable, provide

if TYPE_CHECKING:
    from collections.abc import Callable

Reply = dict[str, Any]

SETTINGS = (
    Param("timeout", on_conflict="use_call", default=5.0),
    Param("token", on_conflict="use_call", unset=UNSET, attribute_unset=None, default=None),
    Param("tenant"),
)
"""How both clients merge, in all of their methods."""


def serve(request: httpx.Request) -> httpx.Response:
    """Answer with what the request asks for, and how."""
    asked = {
        "line": f"{request.method} {request.url.path}",
        "timeout": request.extensions["timeout"]["read"],
        "token": request.headers.get("authorization"),
        "tenant": request.headers["tenant"],
    }
    return httpx.Response(200, json=asked)


def headers(tenant: str, token: str | None) -> dict[str, str]:
    """Return the headers of a request, which needs no token."""
    return {"tenant": tenant} | ({} if token is None else {"authorization": token})


@mergeable(*SETTINGS, method=("get", "post"))
@attrs.frozen
class Client:
    """Calls the API and waits for it."""

    http: httpx.Client
    timeout: float | None = None
    token: str | None = None
    tenant: str | None = None

    def get(
        self,
        path: str,
        *,
        timeout: float = MERGED,
        token: str | None = MERGED,
        tenant: str = MERGED,
    ) -> Reply:
        """Read something."""
        reply = self.http.get(path, headers=headers(tenant, token), timeout=timeout)
        return dict(reply.json())

    def post(
        self,
        path: str,
        body: object,
        *,
        timeout: float = MERGED,
        token: str | None = MERGED,
        tenant: str = MERGED,
    ) -> Reply:
        """Write something, which may take longer than to read."""
        sent = headers(tenant, token)
        reply = self.http.post(path, json=body, headers=sent, timeout=timeout * 2)
        return dict(reply.json())


@mergeable(*SETTINGS, method="get")
@attrs.frozen
class AsyncClient:
    """Calls the API and lets others run meanwhile."""

    http: httpx.AsyncClient
    timeout: float | None = None
    token: str | None = None
    tenant: str | None = None

    async def get(
        self,
        path: str,
        *,
        timeout: float = MERGED,  # noqa: ASYNC109 - handed on to httpx, which keeps it
        token: str | None = MERGED,
        tenant: str = MERGED,
    ) -> Reply:
        """Read something."""
        reply = await self.http.get(path, headers=headers(tenant, token), timeout=timeout)
        return dict(reply.json())


def library_function(client: Client) -> Reply:
    """Stand for code of others, which takes a client and offers no setting."""
    return client.get("/report")


async def serve_two_tenants(client: AsyncClient) -> list[Reply]:
    """Call for two tenants at once; the scope of one is not seen by the other."""

    async def call(tenant: str, seconds: float) -> Reply:
        with provide(tenant=tenant, timeout=seconds):
            await asyncio.sleep(0)
            return await client.get("/orders")

    return [*await asyncio.gather(call("north", 1.0), call("south", 2.0))]


def main() -> None:
    """Call in every way, and print what the server saw."""
    transport, url = httpx.MockTransport(serve), "http://api"
    http = httpx.Client(transport=transport, base_url=url)
    client = Client(http, tenant="north", token="t0k3n")  # noqa: S106 - nobody's

    print("From the client, from the call, and the default:\n")
    print(f"  {client.get('/users')}")
    print(f"  {client.get('/users', timeout=60.0, token=None)}")
    print(f"  {client.post('/users', {'name': 'Ada'}, timeout=3.0)}")

    print("\nProvided to code that offers no setting:\n")
    with provide(timeout=60.0):
        print(f"  {library_function(client)}")
        print(f"  {library_function(attrs.evolve(client, timeout=1.0))}")

    print("\nTwo tasks with scopes of their own:\n")
    waiting = AsyncClient(httpx.AsyncClient(transport=transport, base_url=url))
    for reply in asyncio.run(serve_two_tenants(waiting)):
        print(f"  {reply}")

    print("\nThe tenant has no default, and one place only:\n")
    print(f"  {find_unset(Client(http))}")
    wrong: list[Callable[[], Reply]] = [
        lambda: Client(http).get("/orders"),
        lambda: client.get("/orders", tenant="south"),
    ]
    for call in wrong:
        try:
            call()
        except MergeError as error:
            print(f"  {error}")


if __name__ == "__main__":
    main()
