"""Signature Version 4 against figures that others made: AWS's published test suite, and botocore."""

import dataclasses
from datetime import UTC, datetime, timedelta, timezone

import pytest

from cloud_adapters.bedrock import BedrockSigned
from cloud_adapters.sigv4 import AwsKey, Scope, signature_headers
from hybridrt.errors import CredentialsError
from hybridrt.wire import HttpRequest
from tests.adapters.wire import a_call

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEY = f"AKIDEXAMPLE:{SECRET}"
NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)

# From AWS's test suite: get-vanilla, get-vanilla-query-order-key-case, post-vanilla.
SUITE = [
    ("GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("GET", "/?Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ("POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
]


@pytest.mark.parametrize(("method", "path", "signature"), SUITE)
def test_the_published_test_suite_is_signed_as_published(method, path, signature):
    at = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    request = HttpRequest(path, b"", (), method)
    headers = dict(
        signature_headers(
            request, authority="example.amazonaws.com", now=at, key=AwsKey("AKIDEXAMPLE", SECRET), scope=Scope("us-east-1", "service")
        )
    )
    assert headers["x-amz-date"] == "20150830T123600Z"
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


# What botocore 1.44.5 signs for the same requests at the same time.
ARN = "/model/arn%3Aaws%3Abedrock%3Aus-gov-west-1%3A1%3Aprompt-router%2Fa~b/converse"
BOTOCORE = [
    (
        *(
            "bedrock-runtime.us-east-1.amazonaws.com",
            "/model/us.amazon.nova-lite-v1%3A0/converse",
            '{"messages":[]}',
            "application/json",
            "",
        ),
        "c92afd621e2197810fe26fd12e366be1dea5ea8c921103dbcc8c3c12d2c7cc06",
    ),
    (
        *("bedrock-runtime.eu-central-1.amazonaws.com", "/model/minimax.minimax-m2/converse-stream"),
        *('{"messages":[{"role":"user","content":[{"text":"grüß"}]}]}', "application/vnd.amazon.eventstream"),
        *("FwoGZXIvYXdzEXAMPLE//token==", "3010e6b01fbd1732d653c51037039c2278eed2d4398e99e120b5f59edac74308"),
    ),
    (
        *("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", ARN, "{}", "application/json", ""),
        "424c52f63fdc1ddd6b18f11051c4bee5b0279799ce75ef270713997c4c9a4d38",
    ),
]


@pytest.mark.parametrize("case", BOTOCORE)
def test_a_request_is_signed_as_botocore_signs_it(case):
    host, path, body, accept, token, signature = case
    request = HttpRequest(path, body.encode(), (("content-type", "application/json"), ("accept", accept)))
    signed = BedrockSigned().sign(request, authority=host, now=NOW, key=f"{KEY}:{token}" if token else KEY)
    headers = dict(signed.headers)
    assert headers["authorization"].endswith(f"Signature={signature}")
    assert headers.get("x-amz-security-token", "") == token
    assert (signed.path, signed.body, signed.method) == (request.path, request.body, request.method)


def test_everything_that_is_sent_is_signed():
    request = BedrockSigned().build(a_call(), KEY)
    host = "bedrock-runtime.us-east-1.amazonaws.com"

    def proof(request, authority=host, now=NOW, key=KEY):
        return dict(BedrockSigned().sign(request, authority=authority, now=now, key=key).headers)["authorization"].rpartition("=")[2]

    changed = [
        proof(dataclasses.replace(request, body=request.body + b" ")),
        proof(dataclasses.replace(request, path=request.path + "2")),
        proof(dataclasses.replace(request, path=request.path + "?a=1")),
        proof(dataclasses.replace(request, method="GET")),
        proof(dataclasses.replace(request, headers=(*request.headers, ("x-a", "1")))),
        proof(request, authority="bedrock-runtime.eu-west-1.amazonaws.com"),
        proof(request, now=NOW + timedelta(seconds=1)),
        proof(request, key=KEY + "x"),
    ]
    assert len({proof(request), *changed}) == 1 + len(changed)
    assert proof(request) == proof(request, now=NOW.astimezone(timezone(timedelta(hours=5))))


def test_neither_the_secret_nor_the_key_is_sent():
    built = BedrockSigned().build(a_call(), KEY)
    signed = BedrockSigned().sign(built, authority="bedrock-runtime.us-east-1.amazonaws.com", now=NOW, key=KEY)
    assert SECRET not in "".join((signed.path, *(value for _, value in signed.headers))) + signed.body.decode()
    assert SECRET not in repr(AwsKey.read(KEY))


@pytest.mark.parametrize("key", [None, "", "sk-1", "id:", ":secret", "id:se\r\ncret", "id:se cret", "id:sécret"])
def test_a_key_that_is_no_access_key_is_refused(key):
    with pytest.raises(CredentialsError, match="no access key"):
        BedrockSigned().sign(HttpRequest("/", b""), authority="bedrock-runtime.us-east-1.amazonaws.com", now=NOW, key=key)


@pytest.mark.parametrize("authority", ["example.com", "bedrock-runtime.amazonaws.com", "s3.us-east-1.amazonaws.com"])
def test_a_host_without_a_region_is_refused(authority):
    with pytest.raises(CredentialsError, match="region"):
        BedrockSigned().sign(HttpRequest("/", b""), authority=authority, now=NOW, key=KEY)
