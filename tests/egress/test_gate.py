"""The rules of the gate, as tables; nothing here opens a connection or waits."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridrt.backend import Call
from hybridrt.deadline import Deadline
from hybridrt.egress.gate import PERMIT_LIFE_S, Gate, Permit
from hybridrt.egress.leak import leaked_labels
from hybridrt.egress.recipient import Recipient
from hybridrt.errors import ClosedError, LeakStopped, LedgerError, PermitError
from hybridrt.event import Text
from hybridrt.request import Message
from hybridrt.target import Place, Target
from hybridrt.wire import HttpRequest
from tests.egress.support import CANARY, SECRET, Lines

EU = Target("eu-cloud", Place.CLOUD, "m", "lines", "https://api.example/v1")
US = Target("us-cloud", Place.CLOUD, "m", "lines", "https://us.example/v1")
BYTES = HttpRequest("/answer", CANARY.encode(), (("authorization", f"Bearer {SECRET}"),))


class Desk:
    """A gate with a clock in hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lines = Lines()
        self.gate = Gate(self.lines, lambda: self.now)

    def clear(self, *recipients: Target, decision_id: str = "d1", deadline: Deadline | None = None):
        ids = frozenset(target.id for target in recipients or (EU,))
        return self.gate.clear(decision_id, ids, deadline or Deadline(self.now, 10.0))

    def call(self, target: Target = EU, *, decision_id: str = "d1", deadline: Deadline | None = None, **changes) -> Call:
        return Call(target, (Message("user", (Text(CANARY),)),), deadline or Deadline(self.now, 10.0), decision_id=decision_id, **changes)

    def spend(self, permit: Permit, target: Target = EU, request: HttpRequest = BYTES) -> None:
        self.gate.spend(permit, Recipient.of(target), request, 100)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_permitted_send_passes_once_and_leaves_a_whole_record(desk):
    with desk.clear() as clearance:
        permit = desk.gate.permit(desk.call(), BYTES)
        desk.spend(permit)
        desk.now += 0.25
        desk.gate.end(permit, "answered")
    (attempt,) = clearance.take_attempts()
    assert (attempt.target, attempt.outcome, attempt.bytes_out, attempt.ms) == ("eu-cloud", "answered", 100, 250.0)
    assert clearance.take_attempts() == ()
    assert desk.lines.kinds() == ["attempt", "attempt_ended"]
    assert desk.lines[1]["bytes_out"] == 100


def test_e1_without_a_clearance_there_is_no_permit(desk):
    with pytest.raises(PermitError, match="no clearance"):
        desk.gate.permit(desk.call(), BYTES)
    with desk.clear(decision_id="another"), pytest.raises(PermitError, match="no clearance"):
        desk.gate.permit(desk.call(), BYTES)
    assert desk.lines.kinds() == []


def test_e1_a_recipient_that_was_not_decided_gets_no_permit(desk):
    with desk.clear(EU), pytest.raises(PermitError, match="not a recipient"):
        desk.gate.permit(desk.call(US), BYTES)
    assert desk.lines.kinds() == []


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("twice", "already spent"),
        ("forged", "not known"),
        ("copied", "not known"),
        ("late", "expired"),
        ("other recipient", "another recipient"),
        ("other endpoint", "another recipient"),
        ("other body", "other bytes"),
        ("other path", "other bytes"),
        ("other header", "other bytes"),
        ("other method", "other bytes"),
        ("ended", "not known"),
        ("revoked", "revoked"),
    ],
)
def test_e2_a_permit_is_good_once_for_these_bytes_to_this_recipient(desk, what, reason):
    with desk.clear(EU, US):
        permit = desk.gate.permit(desk.call(), BYTES)
        target, request = EU, BYTES
        match what:
            case "twice":
                desk.spend(permit)
            case "forged":
                permit = Permit("d1", "eu-cloud", EU.endpoint, b"x", 1, 1e9)
            case "copied":
                permit = replace(permit)
            case "late":
                desk.now += 10.0
            case "other recipient":
                target = US
            case "other endpoint":
                target = replace(EU, endpoint="https://evil.example/v1")
            case "other body":
                request = replace(BYTES, body=BYTES.body + b" ")
            case "other path":
                request = replace(BYTES, path="/answers")
            case "other header":
                request = replace(BYTES, headers=(("authorization", "Bearer other"),))
            case "other method":
                request = replace(BYTES, method="PUT")
            case "ended":
                desk.gate.end(permit, "failed")
        if what != "revoked":
            with pytest.raises(PermitError, match=reason):
                desk.spend(permit, target, request)
    if what == "revoked":
        with pytest.raises(PermitError, match=reason):
            desk.spend(permit)


def test_e2_a_permit_that_was_refused_is_spent(desk):
    with desk.clear():
        permit = desk.gate.permit(desk.call(), BYTES)
        with pytest.raises(PermitError, match="other bytes"):
            desk.spend(permit, EU, replace(BYTES, body=b"other"))
        with pytest.raises(PermitError, match="already spent"):
            desk.spend(permit)


def test_e2_each_attempt_has_a_number_a_permit_and_a_record_of_its_own(desk):
    with desk.clear() as clearance:
        permits = [desk.gate.permit(desk.call(), BYTES) for _ in range(3)]
        for permit in permits:
            desk.spend(permit)
            desk.gate.end(permit, "unavailable")
    assert [permit.attempt for permit in permits] == [1, 2, 3]
    assert [line["attempt"] for line in desk.lines if line["kind"] == "attempt"] == [1, 2, 3]
    assert len(clearance.take_attempts()) == 3


def test_a_path_and_a_header_cannot_trade_places(desk):
    """The digest separates its parts: the same letters cut otherwise are other bytes."""
    with desk.clear():
        permit = desk.gate.permit(desk.call(), HttpRequest("/a", b"", (("x", "y"), ("z", "w"))))
        with pytest.raises(PermitError, match="other bytes"):
            desk.spend(permit, EU, HttpRequest("/a", b"", (("x", "y\0\0z\0w"),)))


def test_e9_there_is_no_permit_after_the_deadline(desk):
    past = Deadline(desk.now - 20, 10.0)
    with desk.clear(deadline=past), pytest.raises(PermitError, match="deadline"):
        desk.gate.permit(desk.call(), BYTES)
    with desk.clear(), pytest.raises(PermitError, match="deadline"):
        desk.gate.permit(desk.call(deadline=past), BYTES)
    assert desk.lines.kinds() == []


def test_e9_a_permit_does_not_outlive_the_deadline_nor_two_minutes(desk):
    with desk.clear(deadline=Deadline(desk.now, None)):
        assert desk.gate.permit(desk.call(deadline=Deadline(desk.now, 3.0)), BYTES).expires_at == desk.now + 3.0
        assert desk.gate.permit(desk.call(deadline=Deadline(desk.now, None)), BYTES).expires_at == desk.now + PERMIT_LIFE_S


def test_e9_time_that_passes_between_permit_and_send_closes_the_send(desk):
    with desk.clear(deadline=Deadline(desk.now, 5.0)):
        permit = desk.gate.permit(desk.call(), BYTES)
        desk.now += 5.0
        with pytest.raises(PermitError):
            desk.spend(permit)


def test_e10_a_ledger_that_cannot_be_written_closes_the_gate_before_a_permit_exists(desk):
    desk.lines.is_broken = True
    with desk.clear() as clearance:
        with pytest.raises(LedgerError):
            desk.gate.permit(desk.call(), BYTES)
        assert clearance.running == {}
        desk.lines.is_broken = False
        assert desk.gate.permit(desk.call(), BYTES).attempt == 1


def test_an_end_that_cannot_be_recorded_does_not_take_the_answer_away(desk, caplog):
    with desk.clear() as clearance:
        permit = desk.gate.permit(desk.call(), BYTES)
        desk.lines.is_broken = True
        desk.gate.end(permit, "answered")
        with pytest.raises(LedgerError):
            desk.gate.permit(desk.call(), BYTES)
    assert clearance.take_attempts()[0].outcome == "answered"
    assert "could not be recorded" in caplog.text


def test_e11_leaving_the_clearance_closes_what_still_runs(desk):
    with desk.clear() as clearance:
        spent = desk.gate.permit(desk.call(), BYTES)
        unspent = desk.gate.permit(desk.call(), BYTES)
        desk.spend(spent)
    for permit in (spent, unspent):
        with pytest.raises(PermitError, match="revoked"):
            desk.spend(permit)
    assert [(a.outcome, a.bytes_out) for a in clearance.take_attempts()] == [("cancelled", 100), ("cancelled", 0)]
    assert desk.lines.kinds() == ["attempt", "attempt", "attempt_ended", "attempt_ended"]


def test_e11_a_clearance_is_revoked_when_its_block_raises(desk):
    with pytest.raises(ZeroDivisionError), desk.clear():
        1 / 0  # noqa: B018
    with pytest.raises(PermitError, match="no clearance"):
        desk.gate.permit(desk.call(), BYTES)


def test_a_decision_is_cleared_once_at_a_time(desk):
    with desk.clear():
        with pytest.raises(PermitError, match="already cleared"), desk.clear():
            pass
        assert desk.gate.permit(desk.call(), BYTES).attempt == 1
    with desk.clear():
        pass


def test_ending_twice_records_once(desk):
    with desk.clear() as clearance:
        permit = desk.gate.permit(desk.call(), BYTES)
        desk.gate.end(permit, "late")
        desk.gate.end(permit, "answered")
    assert [attempt.outcome for attempt in clearance.take_attempts()] == ["late"]


def test_the_policy_decides_whether_each_record_is_durable(desk):
    with desk.clear():
        desk.gate.permit(desk.call(), BYTES)
        desk.gate.permit(desk.call(obligations={"log_sync": "each"}), BYTES)
    assert [line["durable"] for line in desk.lines if line["kind"] == "attempt"] == [False, True]


def test_e8_neither_a_permit_nor_a_record_nor_an_error_shows_content(desk):
    with desk.clear() as clearance:
        permit = desk.gate.permit(desk.call(), BYTES)
        desk.spend(permit)
        with pytest.raises(PermitError) as caught:
            desk.spend(permit)
    shown = repr(permit) + str(permit) + repr(desk.gate) + repr(clearance) + repr(caught.value) + json.dumps(desk.lines)
    for secret in (CANARY, SECRET, permit.digest.hex(), repr(permit.digest)):
        assert secret not in shown
    for handing_out in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError):
            handing_out(permit)


async def test_the_clock_of_the_loop_is_the_default():
    gate = Gate(Lines())
    deadline = Deadline.start(0.01)
    call = Call(EU, (Message("user", (Text("x"),)),), deadline, decision_id="d1")
    with gate.clear("d1", frozenset({"eu-cloud"}), deadline):
        gate.permit(call, BYTES)
        await asyncio.sleep(0.02)
        with pytest.raises(PermitError, match="deadline"):
            gate.permit(call, BYTES)


# --- masked values ---

HIDDEN = {"person": frozenset({"Zoë Müller"}), "id": frozenset({"123-45-678"})}


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"text": "ask Zoë Müller"}).encode(),
        json.dumps({"text": "ask Zoë Müller"}, ensure_ascii=False).encode(),
        b'{"text":"Zo\\u00EB M\\u00fcller"}',
        b'{"text":"\\u005a\\u006f\\u00eb M\\u00fcller"}',
        json.dumps({"arguments": json.dumps({"name": "Zoë Müller"})}).encode(),
        json.dumps({"a": json.dumps({"b": json.dumps({"name": "Zoë Müller"})})}).encode(),
        json.dumps({"Zoë Müller": 1}).encode(),
    ],
)
def test_a_masked_value_is_found_however_json_escapes_it(desk, body):
    with desk.clear(), pytest.raises(LeakStopped) as caught:
        desk.gate.permit(desk.call(hidden=HIDDEN), replace(BYTES, body=body))
    assert caught.value.labels == ("person",)
    assert "Zoë" not in str(caught.value)
    assert desk.lines.kinds() == []


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("/answer?name=Zo%C3%AB+M%C3%BCller", b""),
        HttpRequest("/Zo%C3%AB%20M%C3%BCller", b""),
        HttpRequest("/answer", b"", (("x-user", "Zoë Müller"),)),
    ],
)
def test_a_masked_value_is_found_outside_the_body_too(request_):
    assert leaked_labels(HIDDEN, request_) == ("person",)


def test_what_was_masked_well_passes(desk):
    with desk.clear():
        desk.gate.permit(desk.call(hidden=HIDDEN), replace(BYTES, body=b'{"text":"ask [person-1], [id-1]"}'))


def test_a_short_value_counts_only_as_a_word_of_its_own():
    hidden = {"person": frozenset({"Al"})}
    assert leaked_labels(hidden, HttpRequest("/", b'{"text":"also, animal"}')) == ()
    assert leaked_labels(hidden, HttpRequest("/", b'{"text":"ask Al\\nnow"}')) == ("person",)
    assert leaked_labels({"id": frozenset({"123456"})}, HttpRequest("/", b'{"text":"X123456Y"}')) == ("id",)


def test_an_empty_value_is_no_leak():
    assert leaked_labels({"person": frozenset({"", " "})}, HttpRequest("/", b'{"text":"a b"}')) == ()


@given(
    value=st.text(min_size=5).filter(lambda text: text.strip()),
    around=st.tuples(st.text(max_size=10), st.text(max_size=10)),
    is_ascii=st.booleans(),
    depth=st.integers(0, 2),
)
def test_no_text_escapes_the_last_look(value, around, is_ascii, depth):
    try:
        value.encode()
        "".join(around).encode()
    except UnicodeEncodeError:
        return
    said = around[0] + value + around[1]
    for _ in range(depth):
        said = json.dumps({"x": said}, ensure_ascii=is_ascii)
    body = json.dumps({"x": said}, ensure_ascii=is_ascii).encode()
    assert leaked_labels({"it": frozenset({value})}, HttpRequest("/", body)) == ("it",)


def test_a_closed_gate_licenses_nothing_and_its_open_records_are_closed(desk):
    with desk.clear() as clearance:
        permit = desk.gate.permit(desk.call(), BYTES)
        desk.gate.close()
        assert desk.lines[-1]["outcome"] == "cancelled"
        with pytest.raises(PermitError, match="revoked"):
            desk.spend(permit)
        with pytest.raises(PermitError, match="no clearance"):
            desk.gate.permit(desk.call(), BYTES)
    assert [attempt.outcome for attempt in clearance.take_attempts()] == ["cancelled"]
    with pytest.raises(ClosedError), desk.clear(decision_id="d2"):
        pass
    assert desk.lines.kinds() == ["attempt", "attempt_ended"]
