"""What certified reading is computed from: the champion's report, and the exam cheques labelled since."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

from backend.dashboard.exam import NOTHING, graded, with_later
from cheques.fields import CHEQUE, Field, Form
from reader.reading import Reading
from store.database import Store
from store.reading_cache import Key, ReadingCache, read_as
from store.versions import Version
from study.gate import Decision, Safety
from study.timed_annotation import TimedAnnotation
from tests.trainer_parts import FakeReader, cheques
from trainer.evaluate import evaluate
from trainer.judgement import Contest
from trainer.recipe import Trained
from trainer.report import as_json


def test_the_exam_comes_from_the_champions_report(tmp_path: Path) -> None:
    version = Version("v1", "1", tmp_path)
    assert not len(graded(version).right)
    cheque = {"id": "4", "right": {"date": True, "lieu": False}, "confidence": {"date": 0.9, "lieu": 0.4}}
    unreadable = cheque | {"unreadable": ["date"]}
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.json").write_text(json.dumps({"cheques": [cheque, unreadable]}))
    confidence, right = graded(version).cheque()
    assert confidence.tolist() == [0.4, float("-inf")]
    assert right.tolist() == [False, False]


def test_the_trainers_report_is_what_certified_reading_is_computed_from(tmp_path: Path) -> None:
    exam = cheques(12)
    scores = evaluate(FakeReader(exam, lambda _, truth: truth | {"lieu": "?"}), CHEQUE, None, exam)
    contest = Contest(base=scores, champion=None, candidate=scores, lessons=scores, safety=Safety())
    trained = Trained(tmp_path, 0, 0, 0.0, "peft", (), (), 0, (), (), ())
    told = as_json(Version("v1", "1", tmp_path), contest, Decision(False, True, ()), trained, ())
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.json").write_text(json.dumps(told))
    found = graded(Version("v1", "1", tmp_path))
    assert found.fields == CHEQUE.names
    assert found.field("date")[0].tolist() == [0.9] * 12
    assert found.cheque()[0].tolist() == [float("-inf")] * 12, "a cheque with a ? is never accepted"
    assert "1.00" not in json.dumps(told["cheques"])


def test_exam_cheques_labelled_since_are_counted_too(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    cheque = {"id": "4", "right": {"date": True, "lieu": False}, "confidence": {"date": 0.9, "lieu": 0.4}}
    (tmp_path / "report" / "report.json").write_text(json.dumps({"cheques": [cheque]}))
    form = Form((Field("date", "date"), Field("lieu", "text")))
    key = partial(Key.of, "1", url="/a.png", version=read_as("small", "v1"), form=form.digest)
    kept = ReadingCache(Store(tmp_path))
    sure = {"date": 0.8, "lieu": 0.7}
    read = {
        4: Reading({"date": "2024-05-03", "lieu": "Lyon"}, sure),
        5: Reading({"date": "2024-05-03", "lieu": "Nice"}, sure),
        6: Reading({"date": "?", "lieu": "Lyon"}, sure),
        7: Reading({"date": "2024-05-03", "lieu": "Lyon"}, sure),
    }
    kept.put({key(task=str(task)): reading for task, reading in read.items()})
    kept.put({Key.of("1", "8", "/a.png", read_as("small", "v2"), form.digest): read[5]})
    given = TimedAnnotation(4, 1, 1, 9.0, 1.0, "blind", True, values={"date": "2024-05-03", "lieu": "Lyon"})
    work = [replace(given, task=task, annotation=task) for task in (4, 5, 6, 8)]
    work += [replace(given, task=5, annotation=50, at=2.0, ambiguous=True, values={"lieu": "Nice"})]
    work += [replace(given, task=5, annotation=51, at=3.0, skipped=True), replace(given, task=7, exam=False)]
    reads = partial(ReadingCache(Store(tmp_path)).of_tasks, 1, read_as("small", "v1"), form.digest)
    found = with_later(graded(Version("v1", "1", tmp_path)), work, form, reads)
    assert found.later == 2, "not the one judged before, no lesson, and nothing that another version read"
    assert found.confidence.tolist() == [[0.9, 0.4], [0.8, 0.7], [float("-inf"), 0.7]]
    assert found.right.tolist() == [[True, False], [True, False], [False, True]]
    other = Form((Field("date", "date"),))
    assert with_later(graded(Version("v1", "1", tmp_path)), work, other, reads).later == 0, "another form by now"
    assert with_later(NOTHING, work, form, reads).later == 3, "a version that was made without an exam"
