"""The benchmarks' harness: it measures, whatever the figures are on the machine that runs the tests."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.load import NUMBER, ROOT, Job, Requests
from bench.pairs import Pairs, expect
from bench.people import registrations
from bench.report import Failure, Line, Spread, Target, table
from tests.bench.loads import a_load


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_case_measures_ours_and_the_floor_in_pairs(tmp_path: Path) -> None:
    output = tmp_path / "latest.json"

    done = run("hot-32", "--pairs", "2", "--seconds", "0.3", "--output", str(output))

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text("utf-8"))
    assert found["failures"] == []
    ratio, latency = found["lines"]
    assert len(ratio["details"]["pairs"]) == 2
    assert ratio["ours"] > 0
    assert ratio["floor"] > 0
    assert ratio["spread"]["q1"] <= ratio["spread"]["median"] <= ratio["spread"]["q3"]
    assert latency["unit"] == "ms"
    assert "hot-32" in done.stdout


def test_a_case_that_nobody_knows_is_refused() -> None:
    done = run("no-such-case")

    assert done.returncode == 2
    assert "no-such-case" in done.stderr


def test_a_ratio_is_taken_pair_by_pair() -> None:
    """A machine that slows down for a while slows both halves of a pair."""
    pairs = Pairs(
        ours=(a_load(rate=100), a_load(rate=10), a_load(rate=60)),
        floor=(a_load(rate=50), a_load(rate=5), a_load(rate=20)),
    )

    assert pairs.ratios == [2, 2, 3]
    assert pairs.line("a", "b", Target("≥", 2)).verdict == "ok"
    assert pairs.line("a", "b", Target("≥", 2.1)).verdict == "MISSED"


def test_a_worst_case_is_held_to_the_worst_figure() -> None:
    ages = Spread.of([0.2, 0.3, 1.2])

    assert Target("≤", 1).is_met(ages)
    assert not Target("≤", 1, worst=True).is_met(ages)


def test_any_other_answer_than_the_expected_one_ends_the_case() -> None:
    with pytest.raises(RuntimeError, match="503"):
        expect(a_load(answers={"201": 9, "503": 1}), 201)
    with pytest.raises(RuntimeError, match="lost"):
        expect(a_load(answers={"201": 9}, lost=1), 201)


def test_each_request_is_somebody_elses_and_says_its_true_length() -> None:
    requests = Requests(registrations(80, ["/a", "/b"], 1, count=2))

    first, second = requests.next(), requests.next()

    assert first.startswith(b"POST /a ")
    assert second.startswith(b"POST /b ")
    for request in (first, second):
        head, _, body = request.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        assert NUMBER.encode() not in request
    bodies = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in (first, second)]
    assert bodies[0]["name"] != bodies[1]["name"]
    assert bodies[0]["contact"] != bodies[1]["contact"]


def test_a_get_has_no_body() -> None:
    assert Requests(Job(80, 1, ("/x",))).next() == b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n"


def test_the_table_says_plainly_what_was_missed_and_what_failed() -> None:
    lines = [
        Line("one", "", "×", Spread.of([1.0]), Target("≥", 1.1)),
        Line("two", "", "×", Spread.of([1.2]), Target("≥", 1.1)),
    ]

    text = table(lines, [Failure("three", "no server")])

    assert "MISSED" in text
    assert "1 of 2 targets met, 1 missed." in text
    assert "three could not be measured: no server" in text


def test_a_simulation_needs_no_server_and_stands_alone() -> None:
    done = run("fairness", "--sessions", "2")

    assert done.returncode == 0, done.stderr
    assert "| draw |" in done.stdout
    assert run("hot-32", "fairness").returncode == 2
