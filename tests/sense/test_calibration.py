"""A calibration: the labels of one pair of models, as numbers."""

import json
import random
import subprocess
import sys

import pytest
from click.testing import CliRunner

from hybridrt.application import Application, read_application
from hybridrt.cli.calibrate import calibrate, read_labels
from hybridrt.cli.classify import classify
from hybridrt.equipment import _calibration
from hybridrt.errors import ApplicationFileError, FileError
from hybridrt.sense.calibrate import MOST_ROWS, Label, NoGapError, fit_calibration
from hybridrt.sense.calibration import read_calibration
from hybridrt.sense.complexity import score
from hybridrt.sense.privacy import read
from hybridrt.sense.weights import shipped_weights

FRUIT = ("apples", "pears", "plums", "grapes", "lemons")
PLANETS = ("mars", "venus", "saturn", "jupiter", "mercury")


def made_up(count=300, seed=0):
    """Labels of a pair whose strong model gains on questions about planets and on nothing else."""
    rng = random.Random(seed)
    for _ in range(count):
        is_planet = rng.random() < 0.5
        word = rng.choice(PLANETS if is_planet else FRUIT)
        text = rng.choice(("what do people say about {}", "tell me where {} can be seen", "are {} and {} alike in any way?"))
        yield Label(text.replace("{}", word), float(rng.random() < 0.3), 1.0 if is_planet else 0.3)


@pytest.fixture(scope="module")
def fitted():
    return fit_calibration(list(made_up()))


@pytest.fixture
def pair(fitted, tmp_path):
    path = tmp_path / "pair.json"
    path.write_text(json.dumps(fitted.calibration.as_dict(shipped_weights())))
    return path


def rate(text, calibration=None):
    reading = read(text)
    return score(reading.passage, reading.language, calibration)


def test_labels_teach_what_the_general_score_cannot_know(fitted):
    assert fitted.apgr["calibrated"] > fitted.apgr["general"] + 0.1
    assert fitted.is_better
    assert (
        rate("tell me where mars can be seen", fitted.calibration).score > rate("tell me where plums can be seen", fitted.calibration).score
    )


def test_labels_without_a_pattern_are_no_better_and_it_says_so():
    rng = random.Random(5)
    labels = [Label(label.prompt, 0.0, float(rng.random() < 0.5)) for label in made_up(seed=6)]
    assert not fit_calibration(labels).is_better


def test_a_calibrated_score_has_a_band_and_reasons_and_unknown_stays_unknown(fitted):
    found = rate("are mars and venus alike in any way?", fitted.calibration)
    assert 0 <= found.score <= 1
    assert found.band in ("easy", "medium", "hard")
    assert 1 <= len(found.reasons) <= 4
    for text in ("Докажи теорему", "qxz wvu trplk bnmf ghjk", "aGVsbG8gd29ybGQgdGhpcyBpcyBhIHRlc3Q" * 4):
        assert rate(text, fitted.calibration).band == "unknown"


def test_a_calibration_is_read_as_it_was_written(fitted, pair):
    read_back = read_calibration(pair)
    for text in ("tell me where mars can be seen", "prove it", "hello"):
        assert rate(text, read_back).score == pytest.approx(rate(text, fitted.calibration).score, abs=0.002)
    assert read_back.rows == 300


def test_the_file_holds_no_word_of_a_prompt(pair):
    text = pair.read_text()
    assert not any(word in text for word in (*FRUIT, *PLANETS, "people", "alike"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data.update(weights="0" * 16), "stale"),
        (lambda data: data.update(hybridrt_calibration=2), "file"),
        (lambda data: data.pop("general"), "file"),
        (lambda data: data.update(base="much"), "file"),
        (lambda data: data.update(base=float("nan")), "file"),
        (lambda data: data.update(grams={"-1": 1.0}), "file"),
        (lambda data: data.update(grams={"99999999": 1.0}), "file"),
        (lambda data: data.update(general=[0, 0, 1, 1]), "file"),
        (lambda data: data.update(surface={"colour": [0, 1, 1, 1]}), "file"),
        (lambda data: data.update(rows=None), "file"),
    ],
)
def test_a_file_that_is_no_calibration_for_these_weights_is_refused(pair, change, code):
    data = json.loads(pair.read_text())
    change(data)
    pair.write_text(json.dumps(data))
    with pytest.raises(FileError) as raised:
        read_calibration(pair)
    assert raised.value.detail == code
    assert raised.value.hint


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b"{", b"[" * 100_000])
def test_a_file_that_is_no_json_object_is_refused(tmp_path, content):
    (tmp_path / "pair.json").write_bytes(content)
    with pytest.raises(FileError):
        read_calibration(tmp_path / "pair.json")
    with pytest.raises(FileError):
        read_calibration(tmp_path / "none.json")


@pytest.mark.parametrize("labels", [[], list(made_up(50)), [Label(label.prompt, 1.0, 0.0) for label in made_up()]])
def test_too_few_rows_or_no_gap_are_refused(labels):
    with pytest.raises(NoGapError):
        fit_calibration(labels)


def test_rows_in_other_languages_are_counted_and_left_out():
    fitted = fit_calibration([*made_up(), *(Label("Wie ist das Wetter heute in der Stadt?", 0.0, 1.0) for _ in range(7))])
    assert (fitted.rows, fitted.unread) == (300, 7)


def test_more_rows_than_are_used_are_sampled_evenly():
    from hybridrt.sense.calibrate import sample

    taken = sample(list(range(MOST_ROWS * 2)))
    assert len(taken) == MOST_ROWS
    assert taken[-1] >= MOST_ROWS * 2 - 2


def row(**changes):
    return json.dumps({"prompt": "hello", "weak": 0.5, "strong": True, **changes})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "JSON"),
        ("[1]", "object"),
        (row(prompt=""), "prompt"),
        (row(prompt=7), "prompt"),
        (row(weak=None), "weak"),
        (row(weak="1"), "weak"),
        (row(strong=1.5), "strong"),
        (row(strong=-0.1), "strong"),
        (row(weak=float("nan")), "weak"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_a_wrong_row_is_named_by_its_line_and_not_quoted(tmp_path, line, said):
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{row()}\n\n{line}\n")
    with pytest.raises(FileError, match=said) as raised:
        read_labels(path)
    assert (raised.value.file, raised.value.line) == ("rows.jsonl", 3)


def write_rows(path, labels):
    path.write_text("".join(row(prompt=label.prompt, weak=label.weak, strong=label.strong) + "\n" for label in labels))
    return path


def test_the_command_writes_the_file_and_says_what_was_gained(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", made_up())
    done = CliRunner().invoke(calibrate, ["complexity", "--labels", str(rows), "-o", str(tmp_path / "pair.json")], catch_exceptions=False)
    assert done.exit_code == 0
    assert "length alone" in done.output
    assert "\nbetter: +" in done.output
    assert read_calibration(tmp_path / "pair.json").rows == 300


def test_the_command_says_plainly_when_a_calibration_is_no_better(tmp_path):
    rng = random.Random(5)
    rows = write_rows(tmp_path / "rows.jsonl", [Label(label.prompt, 0.0, float(rng.random() < 0.5)) for label in made_up(seed=6)])
    arguments = ["complexity", "--labels", str(rows), "-o", str(tmp_path / "pair.json")]
    assert "NOT better" in CliRunner().invoke(calibrate, arguments, catch_exceptions=False).output
    found = json.loads(CliRunner().invoke(calibrate, [*arguments, "--json"], catch_exceptions=False).output)
    assert found["better"] is False
    assert found["apgr"].keys() == {"calibrated", "general", "length", "oracle"}


def test_classify_uses_the_calibration(pair):
    plain, calibrated = (
        json.loads(CliRunner().invoke(classify, ["--json", *options, "tell me where mars can be seen"], catch_exceptions=False).output)
        for options in ([], ["--calibration", str(pair)])
    )
    assert plain["complexity"]["score"] != calibrated["complexity"]["score"]
    assert any(reason.startswith("general score") for reason in calibrated["complexity"]["reasons"])


def test_an_application_names_the_file_and_a_bad_one_is_a_problem(pair, tmp_path):
    (tmp_path / "hybridrt.yaml").write_text("hybridrt: 1\nsense: {calibration: pair.json}\n")
    application = read_application(tmp_path / "hybridrt.yaml")
    assert application.sense.calibration == pair
    problems = []
    assert _calibration(application.sense.calibration, problems).rows == 300
    assert _calibration(None, problems) is None
    assert problems == []
    pair.write_text("{}")
    assert _calibration(pair, problems) is None
    assert len(problems) == 1
    assert Application().sense.calibration is None
    (tmp_path / "hybridrt.yaml").write_text("hybridrt: 1\nsense: {threshold: 1}\n")
    with pytest.raises(ApplicationFileError):
        read_application(tmp_path / "hybridrt.yaml")


def test_reading_a_calibration_needs_no_numpy(pair):
    code = f"import sys; from hybridrt.sense.calibration import read_calibration; read_calibration({str(pair)!r}); print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
