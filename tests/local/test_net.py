"""Nets: what they say, what they refuse, where they run. Small ones whose answers can be worked out by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from hybridrt.errors import ContextOverflowError, ManifestError, MissingModelError, ModelFileError, UnsupportedError
from hybridrt.local.manifest import read_manifest
from hybridrt.local.net import Net
from hybridrt.local.onnx import Runtime
from tests.local.nets import LABELS, base64_of, byte_net, colour_net, encoder, png


def test_a_net_labels_pictures_in_their_order_and_in_batches(tmp_path):
    net = Net.open(colour_net(tmp_path))
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)] * 15
    assert [one.label for one in net.classify([png(colour) for colour in colours])] == LABELS * 15


def test_the_confidence_is_the_softmax_under_the_temperature_of_the_manifest(tmp_path):
    for temperature in (0.5, 1.0, 2.0):
        net = Net.open(colour_net(tmp_path, f"t{temperature}".replace(".", "-"), temperature=temperature))
        found = net.classify([png((255, 0, 0))])[0]
        assert found.confidence == pytest.approx(1 / (1 + 2 * math.exp(-8 / temperature)), rel=1e-4)
        assert sum(chance for _, chance in found.labels) == pytest.approx(1)
        assert [chance for _, chance in found.labels] == sorted((chance for _, chance in found.labels), reverse=True)


def test_the_best_labels_are_as_many_as_asked_for(tmp_path):
    net = Net.open(colour_net(tmp_path))
    assert [label for label, _ in net.classify([png((250, 100, 0))], top=2)[0].labels] == ["red", "green"]


UNKNOWN_RULES = {
    "not sure enough": ({"least_confidence": 0.6}, (130, 128, 126), (255, 0, 0)),
    "two are as likely": ({"least_margin": 0.3}, (200, 200, 0), (255, 0, 0)),
    "little energy": ({"least_energy": 4.0}, (10, 0, 0), (255, 0, 0)),
    "the label for none": ({"labels": ["blue"]}, (0, 0, 255), (0, 255, 0)),
}


@pytest.mark.parametrize("rule", UNKNOWN_RULES)
def test_unknown_is_a_result_with_its_own_confidence(tmp_path, rule):
    said, odd, clear = UNKNOWN_RULES[rule]
    net = Net.open(colour_net(tmp_path, unknown=said))
    unknown, known = net.classify([png(odd), png(clear)])
    assert unknown.label == "unknown"
    assert 0 < unknown.confidence <= 1
    assert known.label in LABELS


def test_run_gives_the_raw_output_and_names_what_it_does_not_take(tmp_path):
    net = Net.open(colour_net(tmp_path))
    array = np.random.default_rng(0).random((5, 3, 2, 2), np.float32)
    assert np.allclose(net.run(array), 8 * array.mean((2, 3)), atol=1e-5)
    with pytest.raises(UnsupportedError, match=r"float64\[1, 3, 2, 2\]"):
        net.run(np.zeros((1, 3, 2, 2)))


def test_a_text_net_reads_text_of_any_length_it_can_and_no_longer(tmp_path):
    net = Net.open(byte_net(tmp_path))
    assert [one.label for one in net.classify(["aab", "abb", "a" * 64])] == ["a", "b", "a"]
    with pytest.raises(ContextOverflowError) as caught:
        net.classify(["a", "b" * 65])
    assert (caught.value.needed, caught.value.window) == (65, 64)
    with pytest.raises(UnsupportedError):
        net.classify([b"picture"])


def test_vectors_have_length_one_and_do_not_depend_on_what_else_is_in_the_batch(tmp_path):
    net = Net.open(encoder(tmp_path))
    texts = ["one", "a longer text than that", "x", ""] * 20
    vectors = net.embed(texts)
    assert vectors.shape == (80, 5)
    assert np.allclose(np.linalg.norm(vectors, axis=1)[:3], 1, atol=1e-5)
    for text, vector in zip(texts[:4], vectors, strict=False):
        assert np.allclose(net.embed([text])[0], vector, atol=1e-6)
    assert net.embed([]).shape[0] == 0


def test_a_net_for_labels_makes_no_vectors_and_the_other_way_round(tmp_path):
    with pytest.raises(UnsupportedError):
        Net.open(byte_net(tmp_path)).embed(["a"])
    with pytest.raises(UnsupportedError):
        Net.open(encoder(tmp_path)).classify(["a"])


# --- what is checked at load ---


def test_a_net_that_says_something_else_than_its_golden_case_is_not_used(tmp_path):
    for output, fits in (([8, 0, 0], True), ([8.0009, 0, 0], True), ([7.9, 0, 0], False), ([0, 8, 0], False)):
        golden = {"tolerance": 0.001, "cases": [{"picture": base64_of(png((255, 0, 0))), "output": output}]}
        path = colour_net(tmp_path, golden=golden)
        if fits:
            Net.open(path)
        else:
            with pytest.raises(ModelFileError, match="golden case 1"):
                Net.open(path)


def test_wrong_preprocessing_fails_the_golden_case(tmp_path):
    blue_first = {"resize": [2, 2], "color": "bgr"}
    with pytest.raises(ModelFileError, match="golden"):
        Net.open(colour_net(tmp_path, picture=blue_first))


def test_another_net_under_the_same_name_is_not_used(tmp_path):
    path = colour_net(tmp_path)
    path.write_bytes(path.read_bytes() + b"\x00")
    with pytest.raises(ModelFileError, match="digest"):
        Net.open(path)


@pytest.mark.parametrize("data", [b"", b"no net", bytes(range(256)) * 40, b"\x08\x09" + b"\xff" * 200])
def test_bytes_that_are_no_net_are_a_typed_error(tmp_path, data):
    import hashlib

    path = colour_net(tmp_path)
    path.write_bytes(data)
    facts = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps({**facts, "sha256": hashlib.sha256(data).hexdigest()}))
    with pytest.raises(ModelFileError, match="cannot use"):
        Net.open(path)


def test_a_missing_net_and_a_missing_manifest_are_told_apart(tmp_path):
    path = colour_net(tmp_path)
    path.unlink()
    with pytest.raises(MissingModelError):
        Net.open(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(ManifestError, match=r"colours\.json") as caught:
        Net.open(path)
    assert "docs/vision.md" in caught.value.hint


def test_an_output_or_input_that_the_net_does_not_have_is_named(tmp_path):
    with pytest.raises(ModelFileError, match="no output `z`"):
        Net.open(colour_net(tmp_path, output="z"))
    with pytest.raises(ModelFileError, match="other inputs"):
        Net.open(colour_net(tmp_path, input={"name": "pixels", "shape": ["batch", 3, 2, 2]}))


# --- where it runs ---


def test_the_placement_says_where_the_nodes_are_and_what_was_missed(tmp_path):
    path = colour_net(tmp_path)
    assert Net.open(path).placement.nodes == (("CPUExecutionProvider", 3),)
    missed = Net.open(path, Runtime(("cuda", "cpu"))).placement
    assert missed.missed == ("CUDAExecutionProvider",)
    assert "nothing on CUDAExecutionProvider, which was asked for" in str(missed)
    assert Net.open(colour_net(tmp_path, providers=["CoreMLExecutionProvider"])).placement.missed == ("CoreMLExecutionProvider",)
    assert Net.open(path, Runtime(power="saving")).placement.nodes == (("CPUExecutionProvider", 3),)


# --- the manifest ---

WRONG = {
    "no labels": (lambda facts: facts.pop("labels"), "needs `labels`"),
    "a label twice": (lambda facts: facts.update(labels=["a", "a", "b"]), "stands twice"),
    "unknown as a label": (lambda facts: facts.update(labels=["unknown", "a", "b"]), "every net can say"),
    "a misspelt key": (lambda facts: facts.update(temprature=1), "temprature"),
    "a wrong kind": (lambda facts: facts.update(kind="image_clasifier"), "image_clasifier"),
    "no digest": (lambda facts: facts.pop("sha256"), "no `sha256`"),
    "half a digest": (lambda facts: facts.update(sha256="ab"), "64 hexadecimal"),
    "every label is none": (lambda facts: facts.update(unknown={"labels": facts["labels"]}), "every label"),
    "a tiny temperature": (lambda facts: facts.update(temperature=1e-300), "number from 0.001"),
    "a huge temperature": (lambda facts: facts.update(temperature=1e11), "number from 0.001"),
    "no golden case": (lambda facts: facts["golden"].update(cases=[]), "at least one"),
    "a case with another number of outputs": (lambda facts: facts["golden"]["cases"][0].update(output=[1]), "there are 3 labels"),
    "a mean of another number of channels": (lambda facts: facts["picture"].update(mean=[0.5]), "3 channels"),
    "a std of nothing": (lambda facts: facts["picture"].update(std=[1, 0, 1]), "more than 0"),
    "a size that is not the input's": (lambda facts: facts["picture"].update(resize=[3, 3]), "not the shape"),
    "no size": (lambda facts: facts["picture"].pop("resize"), "the size of the input"),
    "two sizes": (lambda facts: facts["picture"].update(shorter=3), "two ways"),
    "steps beside ink": (lambda facts: facts["picture"].update(ink=2), "stands alone"),
    "a temperature of nothing": (lambda facts: facts.update(temperature=0), "number from 0.001"),
    "a number that is text": (lambda facts: facts["golden"]["cases"][0].update(output=["a", 1, 2]), "where a number"),
    "a text part": (lambda facts: facts.update(text={}), "has no `text`"),
    "a later form": (lambda facts: facts.update(hybridrt_net=2), "not known"),
    "a label that is none": (lambda facts: facts.update(unknown={"labels": ["pink"]}), "pink"),
    "a picture that is no base64": (lambda facts: facts["golden"]["cases"][0].update(picture="%"), "base64"),
    "an input of another length": (
        lambda facts: facts["golden"].update(cases=[{"input": [1, 2], "output": [1, 2, 3]}]),
        "the shape asks for 12",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_manifest_is_an_error_with_its_line(tmp_path, what):
    change, said = WRONG[what]
    path = colour_net(tmp_path)
    facts = json.loads(path.with_suffix(".json").read_text())
    read_manifest(path)
    change(facts)
    path.with_suffix(".json").write_text(json.dumps(facts, indent=1))
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert said in str(caught.value) + caught.value.hint
    assert caught.value.file == "colours.json"
    assert caught.value.line >= 1


@pytest.mark.parametrize("text", ["", "{", "[]", "nothing", "{}", '{"hybridrt_net": 1}', "\x00", '{"a": 1, "a": 2}'])
def test_a_manifest_that_is_no_manifest_is_an_error(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ManifestError):
        read_manifest(tmp_path / "x.onnx")
