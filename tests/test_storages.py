"""Tasks of cloud storages: a real S3 API as the source storage of a real Label Studio, pre-signed and proxied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cheques.images import BadImage
from studio.client import Project
from studio.config import DEFAULT_CONFIG, read_config
from studio.images import fetch_image, name_of
from tests.conftest import LabelStudio
from tests.network_parts import S3, s3
from tests.test_studio_client import personal_token
from tests.test_studio_images import png

XML = DEFAULT_CONFIG.read_text(encoding="utf-8")
CONFIG = read_config(XML)
KEYS = ("chèques/un.png", "chèques/d'été (2)+.png")

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def storage() -> Iterator[S3]:
    with s3() as server:
        yield server


@pytest.fixture(params=[True, False], ids=["presigned", "proxied"])
def presign(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def project(label_studio: LabelStudio, storage: S3, presign: bool) -> Project:
    """A project whose cheques are in a bucket of its own."""
    studio = label_studio.client
    project = studio.create_project("Chèques en S3", XML)
    bucket = storage.bucket(f"cheques-{project.id}", {key: png((6 + n, 4)) for n, key in enumerate(KEYS)})
    storage.storage_in(label_studio.url, label_studio.token, project.id, bucket, presign)
    return project


def test_every_file_is_read_with_either_kind_of_token(
    label_studio: LabelStudio, project: Project, tmp_path: Path
) -> None:
    tasks = list(label_studio.client.tasks(project.id, CONFIG))
    assert {task.image for task in tasks} == {f"s3://cheques-{project.id}/{key}" for key in KEYS}
    for token in (label_studio.token, personal_token(label_studio)):
        own = label_studio.settings(tmp_path, studio_token=token)
        assert {fetch_image(task.image, own, project.id).size for task in tasks} == {(6, 4), (7, 4)}


def test_both_names_of_a_file_are_one(label_studio: LabelStudio, project: Project, tmp_path: Path) -> None:
    """Label Studio's page is given the path that resolves a file, the task list the file itself."""
    own, studio = label_studio.settings(tmp_path), label_studio.client
    shown = studio.next_task(project.id)
    assert shown is not None and "/resolve/" in shown["data"]["image"]
    assert name_of(shown["data"]["image"], own) == studio.task(shown["id"], CONFIG).image
    assert fetch_image(shown["data"]["image"], own, project.id).height == 4


def test_a_bucket_that_is_gone_is_one_line(
    label_studio: LabelStudio, storage: S3, project: Project, tmp_path: Path
) -> None:
    task = next(label_studio.client.tasks(project.id, CONFIG))
    storage.remove(f"cheques-{project.id}")
    with pytest.raises(BadImage) as caught:
        fetch_image(task.image, label_studio.settings(tmp_path), project.id)
    assert "check bucket, file and credentials in Label Studio, Settings > Cloud Storage" in str(caught.value)
    assert "X-Amz" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_bucket_without_a_storage_is_one_line(label_studio: LabelStudio, project: Project, tmp_path: Path) -> None:
    with pytest.raises(BadImage, match=f"no source storage for s3://others in project {project.id}: add one in"):
        fetch_image("s3://others/c.png", label_studio.settings(tmp_path), project.id)
