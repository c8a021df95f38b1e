"""What Easegress 2 has: each kind and field is either here, or refused with what to do instead.

The lists are those of its sources: pkg/registry/registry.go, the spec.go of HTTPServer, its
routers and Pipeline, and WebSocketProxy with its pools, servers and load balancing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.ourkinds import OUR_KINDS

from easews import ConfigError, Context, Filter
from easews.config import Source, from_sources
from easews.config.easegress import missing_kinds
from easews.config.fields import Field, fields_of
from easews.config.schemas import OBJECT_KINDS, kind_schema
from easews.filters import schema_of
from easews.plugins import Kind, Kinds
from easews.schema import load

NAMES = {
    "filter": """
        AIGatewayProxy CertExtractor ConnectControl CORSAdaptor DataBuilder Fallback
        FileServer GRPCProxy HeaderLookup HeaderToJSON Kafka KafkaMQTT MeshAdaptor Mock
        MQTTClientAuth OIDCAdaptor OPAFilter Proxy RateLimiter Redirector RedirectorV2
        RemoteFilter RequestAdaptor RequestBuilder ResponseAdaptor ResponseBuilder
        ResultBuilder SimpleHTTPProxy TopicMapper Validator WasmHost WebSocketProxy
    """,
    "object": """
        AIGatewayController AutoCertManager ConsulServiceRegistry EaseMonitorMetrics
        EtcdServiceRegistry EurekaServiceRegistry FaaSController GatewayController
        GlobalFilter GRPCServer HTTPServer IngressController MeshController MQTTProxy
        NacosServiceRegistry Pipeline RawConfigTrafficController ServiceRegistry
        StatusSyncController TrafficController ZookeeperServiceRegistry
    """,
}
FILTERS, OBJECTS = (NAMES[noun].split() for noun in ("filter", "object"))
FIELDS = {
    "HTTPServer": """
        name kind version createdAt
        http3 keepAlive https autoCert xForwardedFor address port clientMaxBodySize
        keepAliveTimeout maxConnections cacheSize tracing caCertBase64 certBase64 keyBase64 certs
        keys routerKind ipFilter rules globalFilter accessLogFormat
        rules[].ipFilter rules[].host rules[].hostRegexp rules[].hosts rules[].paths
        rules[].paths[].ipFilter rules[].paths[].path rules[].paths[].pathPrefix
        rules[].paths[].pathRegexp rules[].paths[].rewriteTarget rules[].paths[].methods
        rules[].paths[].backend rules[].paths[].clientMaxBodySize rules[].paths[].headers
        rules[].paths[].queries rules[].paths[].matchAllHeader rules[].paths[].matchAllQuery
    """,
    "CORSAdaptor": """
        name kind allowedOrigins allowedMethods allowedHeaders allowCredentials exposedHeaders
        maxAge supportCORSRequest
    """,
    "Fallback": "name kind mockCode mockHeaders mockBody",
    "Mock": """
        name kind rules rules[].match rules[].code rules[].headers rules[].body rules[].delay
        rules[].match.path rules[].match.pathPrefix rules[].match.headers
        rules[].match.matchAllHeaders rules[].match.headers.*.exact rules[].match.headers.*.prefix
        rules[].match.headers.*.regex rules[].match.headers.*.empty
    """,
    "Redirector": "name kind match matchPart replacement statusCode",
    "RequestAdaptor": """
        name kind host method path header body compress decompress sign template leftDelim
        rightDelim path.replace path.addPrefix path.trimPrefix path.regexpReplace
        path.regexpReplace.regexp path.regexpReplace.replace header.del header.set header.add
    """,
    "ResponseAdaptor": """
        name kind header body compress decompress template leftDelim rightDelim
        header.del header.set header.add
    """,
    "Pipeline": """
        name kind version createdAt
        flow filters resilience data
        flow[].filter flow[].alias flow[].namespace flow[].jumpIf
    """,
    "Proxy": """
        name kind pools mirrorPool compression mtls maxIdleConns maxIdleConnsPerHost
        serverMaxBodySize
        pools[].spanName pools[].serverTags pools[].servers pools[].setUpstreamHost
        pools[].serviceRegistry pools[].serviceName pools[].loadBalance pools[].memoryCache
        pools[].filter pools[].serverMaxBodySize pools[].timeout pools[].retryPolicy
        pools[].circuitBreakerPolicy pools[].failureCodes pools[].healthCheck
        pools[].servers[].url pools[].servers[].tags pools[].servers[].weight
        pools[].servers[].keepHost
    """,
    "WebSocketProxy": """
        name kind defaultOrigin pools
        pools[].serverTags pools[].servers pools[].setUpstreamHost pools[].serviceRegistry
        pools[].serviceName pools[].loadBalance pools[].clientMaxMsgSize pools[].serverMaxMsgSize
        pools[].filter pools[].insecureSkipVerify pools[].originPatterns pools[].healthCheck
        pools[].servers[].url pools[].servers[].tags pools[].servers[].weight
        pools[].servers[].keepHost
        pools[].loadBalance.policy pools[].loadBalance.headerHashKey pools[].loadBalance.forwardKey
        pools[].loadBalance.stickySession pools[].loadBalance.healthCheck
        pools[].loadBalance.stickySession.mode pools[].loadBalance.stickySession.appCookieName
        pools[].loadBalance.stickySession.lbCookieName
        pools[].loadBalance.stickySession.lbCookieExpire
        pools[].filter.policy pools[].filter.headers pools[].filter.matchAllHeaders
        pools[].filter.permil pools[].filter.headerHashKey pools[].filter.urls
        pools[].filter.urls[].methods pools[].filter.urls[].url pools[].filter.urls[].url.exact
        pools[].filter.urls[].url.prefix pools[].filter.urls[].url.regex
        pools[].filter.urls[].url.empty
    """,
}
#: Of these nothing is missing but what pools of all kinds lack.
COMPLETE = {"CORSAdaptor", "Fallback", "Mock", "Redirector", "WebSocketProxy"}
POLICIES = ["policy: roundRobin", "policy: random", "policy: weightedRandom", "policy: ipHash"]

KINDS = OUR_KINDS
PIPELINE = "{kind: Pipeline, name: p, filters: [{kind: XForwarded, name: x}]}"
PROXY = "{kind: Pipeline, name: p, filters: [{kind: WebSocketProxy, name: w, pools: [%s]}]}"


def faults(*documents: str, kinds: Kinds = KINDS) -> list[str]:
    try:
        from_sources([Source("f", "\n---\n".join(documents))], kinds, {})
    except ConfigError as error:
        return [f"{problem.wrong}; {problem.accepted}" for problem in error.problems]
    return []


def our_fields(kind: str) -> Mapping[str, Field]:
    return {field.path: field for field in fields_of(kind_schema(kind, KINDS))}


def refusals(schema: Any) -> list[str]:
    """Every description that refuses, wherever it stands."""
    parts = schema.values() if isinstance(schema, Mapping) else schema
    own = [schema.get("description")] if isinstance(schema, Mapping) else []
    found = [text for text in own if isinstance(text, str) and text.startswith("Not supported")]
    inner = [refusals(part) for part in parts if isinstance(part, (Mapping, list))]
    return found + [text for texts in inner for text in texts]


@pytest.mark.parametrize("kind", FILTERS)
def test_a_kind_of_filter_is_here_or_told_to_be_missing(kind: str) -> None:
    assert (kind in KINDS) != (kind in missing_kinds()["filter"])


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_kind_of_object_is_here_or_told_to_be_missing(kind: str) -> None:
    assert (kind in OBJECT_KINDS) != (kind in missing_kinds()["object"])


def test_no_other_kind_is_told_to_be_easegresss() -> None:
    missing = missing_kinds()
    assert set(missing["filter"]) <= set(FILTERS)
    assert set(missing["object"]) <= set(OBJECTS)


@pytest.mark.parametrize("kind", missing_kinds()["filter"])
def test_a_missing_filter_is_one_problem_with_a_remedy(kind: str) -> None:
    remedy = missing_kinds()["filter"][kind]
    entry = f"{{kind: {kind}, name: a, some: field}}"
    assert faults(f"{{kind: Pipeline, name: p, filters: [{entry}], flow: [{{filter: a}}]}}") == [
        f"not supported yet: the filter {kind}; {remedy}"
    ]


@pytest.mark.parametrize("kind", missing_kinds()["object"])
def test_a_missing_object_is_one_problem_with_a_remedy(kind: str) -> None:
    remedy = missing_kinds()["object"][kind]
    assert faults(f"{{kind: {kind}, name: a, some: field}}") == [
        f"not supported yet: the object {kind}; {remedy}"
    ]


class Proxy(Filter):
    """Somebody else's Proxy."""

    kind = "Proxy"

    async def handle(self, ctx: Context) -> None:
        pass


def test_an_installed_kind_wins_over_the_list() -> None:
    kinds = Kinds([Kind("Proxy", Proxy, schema_of(Proxy), "the-test", "0")])
    assert not faults("{kind: Pipeline, name: p, filters: [{kind: Proxy, name: a}]}", kinds=kinds)


@pytest.mark.parametrize(
    ("kind", "path"), [(kind, path) for kind, paths in FIELDS.items() for path in paths.split()]
)
def test_a_field_is_here_or_told_to_be_missing(kind: str, path: str) -> None:
    assert path in our_fields(kind)


@pytest.mark.parametrize("kind", ["common", *sorted(FIELDS.keys() - COMPLETE)])
def test_every_refusal_of_a_field_says_what_to_do_instead(kind: str) -> None:
    schema = load(kind) if kind in (*OBJECT_KINDS, "common") else KINDS[kind].schema
    texts = refusals(schema)
    assert texts
    assert not [text for text in texts if not text.partition(". ")[2]]


@pytest.mark.parametrize(
    "field",
    [
        "http3: true",
        "cacheSize: 1024",
        "tracing: {serviceName: s}",
        "autoCert: true",
        "routerKind: RadixTree",
        "globalFilter: g",
        "version: easegress.megaease.com/v2",
    ],
)
def test_a_field_of_a_server_that_is_missing_is_told_so(field: str) -> None:
    (fault,) = faults(f"{{kind: HTTPServer, name: s, port: 1, {field}}}", PIPELINE)
    assert fault.startswith("not supported yet: ")


@pytest.mark.parametrize(
    "pool",
    [
        "serviceName: a",
        "servers: [{url: 'ws://a'}], loadBalance: {forwardKey: a}",
        "servers: [{url: 'ws://a'}], loadBalance: {policy: forward}",
    ],
)
def test_a_field_of_a_pool_that_is_missing_is_told_so(pool: str) -> None:
    (fault,) = faults(PROXY % f"{{{pool}}}")
    assert fault.startswith("not supported yet: ")


@pytest.mark.parametrize("policy", [*POLICIES, "policy: headerHash, headerHashKey: X-User"])
def test_a_policy_of_easegress_is_accepted(policy: str) -> None:
    assert not faults(PROXY % f"{{servers: [{{url: 'ws://a'}}], loadBalance: {{{policy}}}}}")


def test_a_step_that_ends_the_flow_is_told_to_be_missing() -> None:
    (fault,) = faults(f"{PIPELINE[:-1]}, flow: [{{filter: x}}, {{filter: END}}]}}")
    assert fault.startswith("not supported yet: END as a step; leave it out")


def test_a_switch_that_is_off_is_accepted() -> None:
    off = "http3: false, autoCert: false, https: false, xForwardedFor: false, cacheSize: 0"
    path = "{backend: p, matchAllHeader: false, matchAllQuery: false}"
    rules = f"routerKind: Ordered, rules: [{{paths: [{path}]}}]"
    assert not faults(f"{{kind: HTTPServer, name: s, port: 1, {off}, {rules}}}", PIPELINE)
