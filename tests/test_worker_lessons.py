"""Labels as lessons: what cannot be used of one costs itself, and is counted."""

from __future__ import annotations

from pathlib import Path

from cheques.fields import CHEQUE
from studio.formats import Label
from tests.trainer_parts import cheques
from worker.labelled_examples import examples


def test_a_field_without_a_canonical_form_is_masked_and_its_label_stays_a_lesson(tmp_path: Path) -> None:
    image = cheques(1)[0].open()
    values = dict.fromkeys(CHEQUE.names, "") | {"montant_numerique": "12.505", "date": "hier", "lieu": "Tunis"}
    good = Label(1, 11, "a.png", values, "2026-01-01T10:00:00Z", unusable={"date": "no_value"})
    lost = Label(2, 12, "b.png", values, "2026-01-01T10:00:00Z", unusable=dict.fromkeys(CHEQUE.names, "not_text"))
    found, left_out, _ = examples([good, lost], CHEQUE, lambda url: image, tmp_path / "images")
    assert [one.id for one in found] == ["1"]
    assert found[0].unknown == {"date"} and found[0].taught["date"] is None
    assert found[0].values["montant_numerique"] == "12.505" and found[0].values["lieu"] == "Tunis"
    assert left_out == {"fields without a canonical form": 8}
