"""Templates: what each name stands for, faults at load, and text that any header may have."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from easews import (
    Address,
    ClientCertificate,
    Context,
    Headers,
    Request,
    Route,
    SpecFault,
    Template,
    TemplateFault,
)


def context(target: str = "/a", *fields: tuple[str, str], **about: object) -> Context:
    headers = Headers([("Host", "a.example:81"), *fields])
    request = Request("GET", target, headers, peer=Address("10.0.0.1", 4711), **about)  # type: ignore[arg-type]
    route = Route("server", "/a/", "pipeline")
    return Context(request, id="id-1", route=route)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("no name at all", "no name at all"),
        ("", ""),
        ("{{Method}} {{URI}} {{Proto}}", "GET /a%20b?x=1&y=a%0d%0ab HTTP/1.1"),
        ("{{Path}}", "/a%20b"),
        ("<{{Scheme}}://{{Host}}>", "<http://a.example:81>"),
        ("{{RealIP}} {{RemoteAddr}}", "203.0.113.5 10.0.0.1:4711"),
        ("{{RequestID}}/{{Server}}/{{Route}}/{{Pipeline}}", "id-1/server//a//pipeline"),
        ("{{Header.x-two}}|{{Header.Missing}}", "1, 2|"),
        ("{{Query.x}}|{{Query.z}}", "1|"),
        ("{{Label.user}}|{{Label.none}}", "ada|"),
        ("{{Certificate.subject}}", ""),
        ("{ {x} }} {", "{ {x} }} {"),
    ],
)
def test_a_name_stands_for_what_the_request_has(text: str, rendered: str) -> None:
    fields = [("X-Two", "1"), ("X-Two", "2")]
    ctx = context("/a%20b?x=1&y=a%0d%0ab", *fields, client=Address("203.0.113.5", 0))
    ctx.labels["user"] = "ada"

    assert Template(text).render(ctx) == rendered


def test_a_value_cannot_end_the_header_that_it_stands_in() -> None:
    ctx = context("/?x=a%0d%0aSet-Cookie:+b%00%7f%C3%A9")
    ctx.labels["user"] = "a\r\nb\u2028é"

    text = Template("{{Query.x}} {{Label.user}}").render(ctx)

    assert text == "a%0D%0ASet-Cookie: b%00%7F\xc3\xa9 a%0D%0Ab\xe2\x80\xa8\xc3\xa9"
    Headers([("X-User", text)])  # does not raise


def test_text_of_a_config_is_sent_as_utf_8() -> None:
    assert Template("ä {{Method}}").render(context()) == "\xc3\xa4 GET"


def test_a_value_is_not_read_as_a_template() -> None:
    assert Template("{{Header.X}}").render(context("/", ("X", "{{Host}}"))) == "{{Host}}"


def test_a_verified_certificate_is_told_of() -> None:
    begin, end = datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2027, 1, 31, 12, tzinfo=UTC)
    certificate = ClientCertificate("CN=Zoë", "CN=CA", ("DNS:a", "DNS:b"), "ab", "1F", begin, end)
    names = ("subject", "issuer", "sans", "fingerprint", "serial", "notBefore", "notAfter")

    text = "|".join(f"{{{{Certificate.{name}}}}}" for name in names)

    assert Template(text).render(context(certificate=certificate)) == (
        "CN=Zo\\C3\\AB|CN=CA|DNS:a, DNS:b|ab|1F|2026-01-31T12:00:00Z|2027-01-31T12:00:00Z"
    )


@pytest.mark.parametrize(
    ("said", "scheme"),
    [
        ([("X-Forwarded-Proto", "https")], "https"),
        ([("X-Forwarded-Proto", "WSS, http")], "https"),
        ([("X-Forwarded-Proto", "gopher")], "http"),
        ([("Forwarded", "for=a;proto=https, for=b;proto=http")], "https"),
        ([("Forwarded", "for=a")], "http"),
    ],
)
def test_the_scheme_is_the_one_that_a_trusted_proxy_tells(
    said: list[tuple[str, str]], scheme: str
) -> None:
    name = said[0][0].lower()
    assert Template("{{Scheme}}").render(context("/", *said, vouched=[name])) == scheme
    assert Template("{{Scheme}}").render(context("/", *said)) == "http"


@pytest.mark.parametrize(
    ("text", "wrong", "accepted"),
    [
        ("{{Methot}}", "there is no {{Methot}}", "did you mean 'Method'?"),
        ("{{ Method }}", "there is no {{ Method }}", "did you mean 'Method'?"),
        ("{{.Method}}", "there is no {{.Method}}", "did you mean 'Method'?"),
        ("{{}}", "there is no {{}}", "known: Method, URI, "),
        ("{{Method.x}}", "{{Method}} takes nothing behind it", "write {{Method}}"),
        ("{{Header}}", "{{Header}} has to name a header", "write it as in {{Header.X-User}}"),
        ("{{Header.a b}}", "{{Header.a b}} has to name a header", "write it as in"),
        ("{{Certificate.sujbect}}", "has to name subject, issuer, ", "did you mean 'subject'?"),
        ("{{Certificate.x}}", "has to name subject, ", "as in {{Certificate.subject}}"),
        ("a {{Method", "a {{ has no }} behind it", "{{Method}}"),
        ("a\nb", "there is a line break", "write one line"),
    ],
)
def test_a_fault_is_told_when_the_template_is_loaded(text: str, wrong: str, accepted: str) -> None:
    (fault,) = Template.faults(text, ["header", "set", "X"])
    assert wrong in fault.wrong
    assert accepted in fault.accepted
    assert fault == SpecFault(["header", "set", "X"], fault.wrong, fault.accepted)

    with pytest.raises(TemplateFault):
        Template(text)


def test_a_template_without_fault_has_none() -> None:
    assert not [*Template.faults("{{Header.X-User}} {{Query.a b}}", [])]
