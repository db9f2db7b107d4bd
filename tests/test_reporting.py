"""Renderers and exit codes, on a report that has one of everything."""

from __future__ import annotations

import json as std_json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import msgspec
import pytest
import sample
from syrupy.assertion import SnapshotAssertion

from checker.baseline import read_baseline, remark
from checker.check import UsageError
from checker.exitcodes import worst
from checker.findings import exit_code, findings, verdict
from checker.model import Report, Unknown
from checker.reporting import json, markdown, text

SCHEMA = Path(__file__).parent.parent / "docs" / "report.schema.json"


@pytest.mark.parametrize("build", [sample.report, sample.proved])
def test_text(snapshot: SnapshotAssertion, build: Callable[[], Report]) -> None:
    shown = text.render(build(), verbose=True)
    assert shown == snapshot
    assert all(len(line) <= text.WIDTH for line in shown.split("\n"))


def test_text_without_verbose_keeps_notes_short() -> None:
    assert "note PG110 observes time without a trap under trap_and_emulate: RDT" in text.render(sample.report())


@pytest.mark.parametrize("build", [sample.report, sample.proved])
def test_markdown(snapshot: SnapshotAssertion, build: Callable[[], Report]) -> None:
    assert markdown.render(build()) == snapshot


def test_colour_says_no_more_than_the_words() -> None:
    import re

    coloured = text.render(sample.report(), text.colour)
    assert "\033[" in coloured
    assert re.sub(r"\033\[[0-9;]*m", "", coloured) == text.render(sample.report())


def test_tables_survive_bars_and_line_breaks() -> None:
    assert list(markdown.table(["a|b"], [["c\nd"]])) == ["| a\\|b |", "|---|", "| c d |", ""]


def test_json_follows_the_published_schema() -> None:
    schema = std_json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    for report in (sample.report(), sample.proved(), Report(isa="empty")):
        jsonschema.validate(std_json.loads(json.render([report])), schema, jsonschema.Draft202012Validator)


def test_published_schema_is_current() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == json.schema()


def test_json_has_the_promised_shape() -> None:
    value = std_json.loads(json.render([sample.report()]))
    assert value["schema_version"] == 1
    assert value["isa"] == "toy"
    assert value["theorems"]["T1"]["under_controls"] == {
        "verdict": "refuted", "controls": {"eflags.iopl": "0", "cr4.tsd": "1"}, "because": ["RM"],
    }
    instruction = value["instructions"][1]
    promised = {"name": "RM", "privileged": "refuted", "sensitive": ["mode"], "user_sensitive": False, "critical": True,
                "critical_unconditional": True, "certificate": "smt"}
    assert {key: instruction[key] for key in promised} == promised
    assert instruction["forms"][0]["region"] == "odd registers"
    assert instruction["witness"]["replayed"] is True
    assert value["instructions"][5]["critical"] is None
    assert value["monitors"][0]["broken"] == ["RM"]
    assert value["unknown"] == [{"what": "MUL", "reason": "no answer within 10 s"}]


def test_json_round_trip_and_several() -> None:
    one, both = [sample.report()], [sample.report(), sample.proved()]
    assert json.parse(json.render(one)) == one
    assert json.parse(json.render(both)) == both
    with pytest.raises(msgspec.ValidationError, match="schema_version"):
        json.parse('{"schema_version": 99, "isa": "x"}')


def unknown_only() -> Report:
    report = sample.proved()
    report.unknown = [Unknown(what="MUL", reason="too hard")]
    return report


def disputed() -> Report:
    report = sample.report()
    assert report.instructions[1].witness is not None
    report.instructions[1].witness.disputed = "gpr[1] is 0 on both machines"
    return report


def refuted_without_findings() -> Report:
    report = sample.proved()
    report.monitors[0].verdict = "refuted"
    return report


def hybrid() -> Report:
    report = sample.report()
    del report.monitors[1]
    return report


@pytest.mark.parametrize(("build", "code", "words"), [
    (sample.proved, 0, "virtualizable"), (sample.report, 1, "inconclusive"),
    (unknown_only, 3, "virtualizable"), (disputed, 4, "inconclusive"),
    (refuted_without_findings, 1, "hybrid only"), (hybrid, 1, "hybrid only"), (lambda: Report(isa="x"), 3, "inconclusive"),
])
def test_exit_code_and_verdict(build: Callable[[], Report], code: int, words: str) -> None:
    assert exit_code(build()) == code
    assert verdict(build()) == words


def test_worst_exit_code() -> None:
    assert [worst(codes) for codes in ([], [0, 3], [3, 1, 0], [1, 4], [4, 2, 1])] == [0, 3, 1, 4, 2]


def test_once_a_monitor_works_the_rest_are_notes() -> None:
    report = sample.report()
    report.monitors[1].verdict = "proved"
    report.invariants, report.expectations, report.unknown = [], [], []
    assert {finding.severity for finding in findings(report)} == {"note"}
    assert exit_code(report) == 0


def test_baseline(tmp_path: Path) -> None:
    file = tmp_path / "known.json"
    file.write_text(json.render([sample.report()]), encoding="utf-8")
    known = read_baseline(file)
    assert exit_code(sample.report(), known) == 3  # MUL is still undecided
    assert "0 new, 0 gone" in remark(findings(sample.report()), known)
    other = sample.report()
    other.instructions[1].sensitive = ["location", "mode"]
    assert exit_code(other, known) == 1
    assert "new: PG102 toy RM: location sensitive but not privileged\n  gone: PG103 toy RM" in remark(findings(other), known)
    moved = sample.report()
    assert moved.instructions[1].place is not None
    moved.instructions[1].place = None
    assert exit_code(moved, known) == 3


@pytest.mark.parametrize("content", [b"", b"[", b"{}", b'{"schema_version": 1}', b"\xff\xfe", b'{"schema_version": 7, "isa": "x"}'])
def test_bad_baseline(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "known.json").write_bytes(content)
    with pytest.raises(UsageError, match="no JSON report"):
        read_baseline(tmp_path / "known.json")
    with pytest.raises(UsageError, match="--format json --output"):
        read_baseline(tmp_path / "none.json")
