"""Label Studio's own templates: what `connect` and `doctor` say of them. Read where they are installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from chequemate.cli import app
from chequemate.connect import fields_read, remarks
from chequemate.stack import Stack
from cheques import settings as settings_module
from studio.client import Project, Studio
from studio.config import BadConfig, read_config

HOME = Path(__file__).parent.parent / ".venv-labelstudio"
TEMPLATES = {
    path.parent.name: str(yaml.safe_load(path.read_text(encoding="utf-8"))["config"])
    for path in HOME.glob("lib/python*/site-packages/label_studio/annotation_templates/*/*/config.yml")
}
WITH_IMAGE = sorted(name for name, xml in TEMPLATES.items() if "<Image" in xml or "<Pdf" in xml)


@pytest.mark.skipif(not TEMPLATES, reason="Label Studio is not installed here")
@pytest.mark.parametrize("name", WITH_IMAGE)
def test_every_control_of_a_template_is_read_or_says_why_not(name: str) -> None:
    xml = TEMPLATES[name]
    try:
        config = read_config(xml)
    except BadConfig as error:
        assert "cannot be read" in str(error) and "\n" not in str(error)
        return
    told = " ".join([fields_read(config), *remarks(Project(1, "t", xml, "", "", True, 1, 0, 0, 0), config)])
    for control in (*config.form.names, *(left.name for left in config.left)):
        assert control in told


@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "joined", "said"),
    [
        ("image-captioning", True, "read from image: caption (text)"),
        ("image-classification", True, "read from image: choice (choice)"),
        ("medical-image-classification-with-bboxes", True, "label (RectangleLabels): neither filled nor learned"),
        (
            "breast-cancer-mammogram-classification",
            True,
            "right_cc (Image), left_mlo (Image), right_mlo (Image): not read",
        ),
        ("optical-character-recognition", False, "transcription (TextArea) cannot be read: it belongs to regions"),
    ],
)
def test_connect_and_doctor_say_what_is_served(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, name: str, joined: bool, said: str
) -> None:
    studio = Studio(stack.studio_url, stack.token)
    project = studio.create_project(name, TEMPLATES[name])
    monkeypatch.setattr(settings_module, "settings", lambda: stack.settings)
    told = {}
    for command in ("connect", "doctor"):
        done = CliRunner().invoke(app, [command, "--project", str(project.id)])
        told[command] = f"{done.output} {done.exception or ''}"
        print(f"$ chequemate {command} --project {project.id}   # {name}\n{told[command]}")
    assert said in told["connect"]
    assert ("is joined" in told["connect"]) is joined
    assert said.removeprefix("read from image: ") in " ".join(told["doctor"].split())
