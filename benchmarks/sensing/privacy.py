"""What is found of what is there, and what is found where nothing is: structured identifiers, secrets, clean prompts.

    python -m benchmarks.sensing.privacy [DATA_DIR]

`chat_*` figures are over texts of our own making (`benchmarks/sensing/chat.py`), the others over public sets under DATA_DIR
(presidio-research, gitleaks' cases, GSM8K, HumanEval, CLINC, SNIPS, Arena-Hard); a set that is not there is left out. A span
counts as found where at least half of it carries its label. Prints one JSON object, last.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.sensing.chat import SECRETS, Sample, misses, samples
from benchmarks.sensing.configuration import CONFIGURATIONS, detectors
from hybridrt.sense.meaning import LEVELS, MEANINGS
from hybridrt.sense.privacy import Scan
from hybridrt.sense.texts import SensedText
from hybridrt.signals import Finding

STRUCTURED = ("email", "credit_card", "iban", "us_ssn", "ip_address", "url")
_PRESIDIO = {
    "EMAIL_ADDRESS": "email",
    "CREDIT_CARD": "credit_card",
    "IBAN_CODE": "iban",
    "US_SSN": "us_ssn",
    "IP_ADDRESS": "ip_address",
    "DOMAIN_NAME": "url",
    "PHONE_NUMBER": "phone",
    "US_DRIVER_LICENSE": "driver_license",
    "AGE": "age",
    "STREET_ADDRESS": "address",
    "ADDRESS": "address",
}


class Reader:
    """Scans one text after the other with one set of detectors."""

    def __init__(self, configuration: str) -> None:
        self._detectors = detectors(configuration)

    def findings(self, text: str) -> list[Finding]:
        scan = Scan(self._detectors, MEANINGS)
        asyncio.run(scan.run([SensedText(text, 0, 0)], {}))
        assert not scan.failed, scan.failed
        return scan.findings

    def reasons(self, text: str) -> list[Finding]:
        return [finding for finding in self.findings(text) if MEANINGS[finding.label].is_reason]


def share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def is_found(start: int, end: int, label: str, findings: Iterable[Finding]) -> bool:
    covered = 0
    for finding in findings:
        is_same = finding.label == label or (label in SECRETS and finding.label in SECRETS)
        covered = max(covered, min(end, finding.end) - max(start, finding.start)) if is_same else covered
    return covered * 2 >= end - start


def recall_and_precision(rows: Iterable[Sample], reader: Reader, labels: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Return both per label; what stands in a span of another label is counted against neither."""
    there, found, right, wrong = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for row in rows:
        findings = reader.findings(row.text)
        for start, end, label in row.spans:
            there[label] += 1
            found[label] += is_found(start, end, label, findings)
        for finding in findings:
            touching = [label for start, end, label in row.spans if start < finding.end and finding.start < end]
            if finding.label in touching or (finding.label in SECRETS and SECRETS & set(touching)):
                right[finding.label] += 1
            elif not touching:
                wrong[finding.label] += 1
    return {
        label: {
            "recall": share(found[label], there[label]),
            "precision": share(right[label], right[label] + wrong[label]),
            "n": there[label],
        }
        for label in labels
        if there[label]
    }


def presidio(folder: Path) -> Iterator[Sample]:
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.open(encoding="utf-8"):
            row = json.loads(line)
            spans = tuple((span["start"], span["end"], _PRESIDIO.get(span["label"], span["label"])) for span in row["spans"])
            yield Sample(row["text"], spans)


def clean_sets(data: Path) -> Iterator[tuple[str, list[str]]]:
    gsm = data / "privacy/clean-gsm8k-train/train.jsonl"
    if gsm.exists():
        yield "gsm8k", [json.loads(line)["question"] for line in gsm.open(encoding="utf-8")]
    code = data / "privacy/clean-humaneval/prompts.jsonl"
    if code.exists():
        yield "humaneval", [json.loads(line)["text"] for line in code.open(encoding="utf-8")]
    prompts = data / "routing/prompts.jsonl"
    if prompts.exists():
        rows = [json.loads(line) for line in prompts.open(encoding="utf-8")]
        for source in sorted({row["source"] for row in rows}):
            # HumanEval stands above.
            if "eval" not in source or "clinc" in source:
                yield source.replace("/", "-"), [row["prompt"] for row in rows if row["source"] == source]


def clean_figures(texts: Sequence[str], reader: Reader) -> dict[str, float | int | None]:
    forced = acted = secret = 0
    confidential = LEVELS.index("confidential")
    for text in texts:
        reasons = reader.reasons(text)
        acted += bool(reasons)
        forced += any(LEVELS.index(MEANINGS[finding.label].level) >= confidential for finding in reasons)
        secret += any(finding.label in SECRETS for finding in reasons)
    size = len(texts)
    return {"n": size, "device_forcing": share(forced, size), "any_action": share(acted, size), "secret": share(secret, size)}


def figures(data_dir: Path) -> dict[str, Any]:
    """Return all figures, one column per configuration."""
    out: dict[str, Any] = {}
    for configuration in CONFIGURATIONS:
        reader = Reader(configuration)
        chat = list(samples())
        labels = sorted({label for row in chat for _, _, label in row.spans})
        column: dict[str, Any] = {"chat": recall_and_precision(chat, reader, labels)}
        secrets = [row for row in chat if row.spans[0][2] in SECRETS]
        column["chat_secrets_recall"] = share(sum(is_found(*row.spans[0], reader.findings(row.text)) for row in secrets), len(secrets))
        missed = list(misses())
        column["chat_near_misses_flagged"] = share(sum(bool(reader.reasons(row.text)) for row in missed), len(missed))
        sets = data_dir / "privacy/presidio-research"
        if sets.is_dir():
            column["presidio_research"] = recall_and_precision(presidio(sets), reader, (*STRUCTURED, "phone", "driver_license"))
        cases = data_dir / "privacy/gitleaks/rule_cases.jsonl.gz"
        if cases.exists():
            with gzip.open(cases, "rt", encoding="utf-8") as lines:
                rows = [json.loads(line) for line in lines]
            flagged = [any(finding.label in SECRETS for finding in reader.findings(row["text"])) for row in rows]
            true = [flag for flag, row in zip(flagged, rows, strict=True) if row["is_secret"]]
            false = [flag for flag, row in zip(flagged, rows, strict=True) if not row["is_secret"]]
            column["gitleaks_cases"] = {"recall": share(sum(true), len(true)), "false_flagged": share(sum(false), len(false))}
        column["clean"] = {name: clean_figures(texts, reader) for name, texts in clean_sets(data_dir)}
        out[configuration] = column
    return out


def main() -> None:
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("data")
    print(json.dumps(figures(data)))


if __name__ == "__main__":
    main()
