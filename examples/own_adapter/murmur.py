"""Murmur, an invented service: POST /speak, one JSON object there and one back."""

from cloud_adapters.reply import read_json
from cloud_adapters.request import json_request, key_header, refuse_unsaid
from hybridrt.event import Finish, Text, Usage

ENDS = {"done": "stop", "full": "length"}


class Murmur:
    def build(self, call, key):
        refuse_unsaid(call, "max_output_tokens")
        turns = [{"who": message.role, "words": message.text} for message in call.messages]
        body = {"model": call.target.model, "turns": turns, "most_tokens": call.max_output_tokens}
        return json_request(call, "/speak", body, key_header(call, key, "x-murmur-key", ""))

    def decoder(self, call, head):
        return read_json(call, head, self.read)

    def read(self, reply):
        yield Text(reply["words"])
        yield Usage(reply["tokens"]["in"], reply["tokens"]["out"])
        yield Finish(ENDS[reply["why"]])
