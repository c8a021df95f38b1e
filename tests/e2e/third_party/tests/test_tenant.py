from easews_tenant import Tenant

from easews import Response
from easews.testing import make_context

SPEC = {"hosts": {"Blue.example.org": "blue"}, "header": "X-Tenant"}


async def test_the_backend_is_told_the_tenant_and_not_what_the_client_says() -> None:
    ctx = make_context("/", [("X-Tenant", "red")])
    ctx.request.headers.set("Host", "blue.example.org:8080")

    assert await Tenant("tenant", SPEC).handle(ctx) is None

    assert ctx.request.headers.get_all("x-tenant") == ["blue"]
    assert ctx.response is None


async def test_an_unknown_host_is_refused() -> None:
    ctx = make_context()
    ctx.request.headers.set("Host", "green.example.org")

    assert await Tenant("tenant", SPEC).handle(ctx) == "unknownTenant"

    assert isinstance(ctx.response, Response)
    assert ctx.response.status == 404
