"""The upstream for benchmarks answers the same bytes to everybody and ends by itself."""

import json
import subprocess
import sys
from contextlib import contextmanager

import httpx2
import pytest

from hybridrt.testing.upstream import BODY_BYTES, completion


@contextmanager
def upstream(*arguments):
    command = [sys.executable, "-m", "hybridrt.testing.upstream", "--until-stdin-closes", "--seconds", "30", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            port = json.loads(process.stdout.readline())["port"]
            yield f"http://127.0.0.1:{port}/v1/chat/completions"
        finally:
            process.stdin.close()
            assert process.wait(timeout=10) == 0


def test_the_completion_has_its_size():
    assert len(completion()) == BODY_BYTES
    assert json.loads(completion())["choices"][0]["finish_reason"] == "stop"


def test_it_answers_whole_and_streamed_on_one_connection():
    with upstream("--chunks", "20") as url, httpx2.Client(trust_env=False) as http:
        for _ in range(2):
            assert http.post(url, json={"stream": False}).content == completion()
            lines = [line for line in http.post(url, json={"stream": True}).text.split("\n\n") if line]
            assert lines[-1] == "data: [DONE]"
            assert len(lines) == 22
            assert len(set(lines)) == 22


def test_a_paced_stream_carries_the_clock():
    with upstream("--chunks", "5", "--pace-ms", "0.1") as url, httpx2.Client(trust_env=False) as http:
        lines = [json.loads(line[6:]) for line in http.post(url, json={"stream": True}).text.split("\n\n") if line and "DONE" not in line]
    clock = [int(line["choices"][0]["delta"]["content"]) for line in lines[:4]]
    assert clock == sorted(clock)


@pytest.mark.parametrize("size", [1, 100_000])
def test_it_waits_for_the_whole_request(size):
    with upstream() as url, httpx2.Client(trust_env=False) as http:
        assert http.post(url, json={"text": "x" * size}).content == completion()
