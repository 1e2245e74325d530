from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from label_studio_sam2.demo import SAMPLE_CLIP
from label_studio_sam2.doctor import connect
from label_studio_sam2.doctor.connect import Connected, Wish
from label_studio_sam2.errors import LabelConfigError, LabelStudioError, RequestError
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.config.templates import TEMPLATES
from label_studio_sam2.settings import Settings

from tests.fakes.clips import write_clip
from tests.fakes.label_studio_server import Project, ProjectServer
from tests.fakes.running_service import RunningService
from tests.fakes.servers import LEGACY, serving


@dataclass(frozen=True)
class Setup:
    """An empty Label Studio and a running service."""

    label_studio: ProjectServer
    service: RunningService

    def connect(self, wish: Wish, **settings: Any) -> Connected:
        defaults = {
            "port": self.service.port,
            "label_studio_url": self.label_studio.url,
            "label_studio_api_key": LEGACY,
        }
        return connect.run(Settings(**(defaults | settings)), wish)


@pytest.fixture
def setup() -> Iterator[Setup]:
    with serving(ProjectServer()) as label_studio, serving(RunningService()) as service:
        yield Setup(label_studio, service)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("a.png", "b b.JPG", "clip.mp4", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def test_create_and_import_make_a_project_in_which_a_click_works(setup: Setup, pictures: Path) -> None:
    connected = setup.connect(Wish(create="Cars", files=(pictures,)))
    (project,) = setup.label_studio.projects
    assert connected.address == f"{setup.label_studio.url}/projects/1/data"
    assert (project.title, project.label_config) == ("Cars", TEMPLATES["brush"].with_labels())
    assert [(one["url"], one["is_interactive"]) for one in project.backends] == [
        (setup.service.localhost, True)
    ]
    assert [Path(upload["file"]).name[9:] for upload in project.uploads] == ["a.png", "b_b.JPG", "clip.mp4"]
    assert {check.state for check in connected.checks} == {"ok"}


def test_doing_it_again_changes_nothing(setup: Setup, pictures: Path) -> None:
    wish = Wish(create="Cars", template="polygon", labels=("Car", "Van"), files=(pictures,))
    first = setup.connect(wish)
    setup.label_studio.writes.clear()

    again = setup.connect(wish)

    assert again == Connected(first.address, (), again.checks)
    assert setup.label_studio.writes == ["PATCH /api/webhooks/1/"]


def test_only_new_files_are_imported(setup: Setup, pictures: Path) -> None:
    setup.connect(Wish(create="Cars", files=(pictures,)))
    (pictures / "c.png").write_bytes(b"new")
    connected = setup.connect(Wish(create="Cars", files=(pictures,)))
    assert connected.done == ("Imported 1 file.",)
    assert len(setup.label_studio.projects[0].uploads) == 4


def test_videos_get_the_video_template_at_their_own_frame_rate(setup: Setup) -> None:
    connected = setup.connect(Wish(create="Clips", files=(SAMPLE_CLIP,)))
    config = labeling_config.parse(setup.label_studio.projects[0].label_config)
    assert config.objects["video"].given_frame_rate == 12
    assert "frame rate" not in {check.name for check in connected.checks}


def test_the_video_words_template_takes_the_files_frame_rate_too(setup: Setup) -> None:
    setup.connect(Wish(create="Clips", template="video-words", files=(SAMPLE_CLIP,)))
    config = labeling_config.parse(setup.label_studio.projects[0].label_config)
    assert config.objects["video"].given_frame_rate == 12
    assert [field.name for field in config.asking_fields("video")] == ["words"]


def test_a_frame_rate_that_is_not_the_files_is_a_warning(setup: Setup) -> None:
    setup.label_studio.projects = [Project("Clips", TEMPLATES["video"].with_labels(frame_rate=25))]
    connected = setup.connect(Wish(project=1, files=(SAMPLE_CLIP,)))
    (found,) = [check for check in connected.checks if check.name == "frame rate"]
    assert found.state == "warning"
    assert 'Set framerate="12"' in found.remedy


@pytest.mark.parametrize(("rate", "warned"), [(12, False), ("12", False), (1 / 12, False), (24, True)])
def test_a_frame_rate_that_stands_in_the_tasks_data_is_read_there(
    setup: Setup, rate: Any, warned: bool
) -> None:
    config = TEMPLATES["video"].with_labels().replace('framerate="25"', 'framerate="$fps"')
    setup.label_studio.projects = [Project("Clips", config)]
    setup.connect(Wish(project=1, files=(SAMPLE_CLIP,)))
    (task,) = setup.label_studio.projects[0].tasks
    task["data"]["fps"] = rate
    names = [check.name for check in setup.connect(Wish(project=1)).checks if check.state == "warning"]
    assert ("frame rate" in names) is warned
    assert "labeling config" not in names


@pytest.mark.parametrize("name", ["late.mp4", "late.webm"])
def test_a_video_that_browsers_count_differently_is_a_warning_before_anybody_labels(
    setup: Setup, tmp_path: Path, name: str
) -> None:
    codec = "libvpx" if name.endswith("webm") else "libx264"
    clip = write_clip(tmp_path / name, frames=20, codec=codec, milliseconds=range(480, 1280, 40))
    setup.label_studio.projects = [Project("Clips", TEMPLATES["video"].with_labels(frame_rate=25))]
    connected = setup.connect(Wish(project=1, files=(clip,)))
    (found,) = [check for check in connected.checks if check.name == "frame rate"]
    assert found.state == "warning"
    assert "Chromium counts and Firefox doesn't" in found.sentence
    assert found.remedy.startswith("Convert the video")


def test_a_projects_own_labeling_config_is_kept(setup: Setup) -> None:
    config = TEMPLATES["bitmask"].with_labels(("Cat",))
    setup.label_studio.projects = [Project("Cats", config)]
    setup.connect(Wish(project=1))
    assert setup.label_studio.projects[0].label_config == config


def test_a_label_is_added_to_every_tag_of_a_projects_own_labeling_config(setup: Setup) -> None:
    config = TEMPLATES["brush"].with_labels(("Cat",))
    setup.label_studio.projects = [Project("Cats", config)]
    connected = setup.connect(Wish(project=1, labels=("Cat", 'a "quoted" & <odd> one')))
    now = setup.label_studio.projects[0].label_config
    parsed = labeling_config.parse(now)
    assert {control.labels for control in parsed.controls.values()} == {("Cat", 'a "quoted" & <odd> one')}
    assert connected.done[0] == 'Added to the labels of the labeling config: Cat, a "quoted" & <odd> one.'
    setup.connect(Wish(project=1, labels=("Cat", 'a "quoted" & <odd> one')))
    assert setup.label_studio.projects[0].label_config == now


def test_a_label_is_added_to_the_labels_tag_that_names_what_other_tags_draw(setup: Setup) -> None:
    setup.label_studio.projects = [Project("Cats", TEMPLATES["polygon"].with_labels(("Cat",)))]
    setup.connect(Wish(project=1, labels=("Dog",)))
    parsed = labeling_config.parse(setup.label_studio.projects[0].label_config)
    held = [*parsed.labels_tags, *parsed.controls.values()]
    assert [tag.labels for tag in held if tag.labels] == [("Cat", "Dog"), ("Cat", "Dog")]


def test_a_label_that_cant_be_added_is_said(setup: Setup) -> None:
    config = '<View><Image name="i" value="$i"/><BrushLabels name="b" toName="i" value="$labels"/></View>'
    setup.label_studio.projects = [Project("Cats", config)]
    with pytest.raises(LabelConfigError, match=r"Dog.*Settings, Labeling Interface"):
        setup.connect(Wish(project=1, labels=("Dog",)))
    assert setup.label_studio.projects[0].label_config == config


def test_a_project_that_was_made_before_it_failed_is_named(setup: Setup) -> None:
    setup.label_studio.blocks_backends = True
    with pytest.raises(LabelStudioError, match=r'Made the project "Cars", number 1\..* same command goes on'):
        setup.connect(Wish(create="Cars"))
    setup.label_studio.blocks_backends = False
    setup.connect(Wish(create="Cars"))
    assert len(setup.label_studio.projects) == 1


def test_a_key_that_is_refused_ends_it_before_anything_is_made(setup: Setup) -> None:
    with pytest.raises(LabelStudioError, match="LABEL_STUDIO_API_KEY"):
        setup.connect(Wish(create="Cars"), label_studio_api_key="f" * 40)
    assert setup.label_studio.projects == []


def test_a_project_that_there_isnt_is_named(setup: Setup) -> None:
    with pytest.raises(LabelStudioError, match="no project 99"):
        setup.connect(Wish(project=99))


def test_a_template_that_is_asked_for_replaces_the_labeling_config(setup: Setup) -> None:
    setup.label_studio.projects = [Project("Cats", TEMPLATES["bitmask"].with_labels(("Cat",)))]
    connected = setup.connect(Wish(project=1, template="boxes", labels=("Dog & co",)))
    assert setup.label_studio.projects[0].label_config == TEMPLATES["boxes"].with_labels(("Dog & co",))
    assert 'Set the labeling config "boxes".' in connected.done


def test_a_backend_that_is_not_interactive_is_made_so(setup: Setup) -> None:
    backend = {
        "id": 1,
        "project": 1,
        "url": setup.service.localhost + "/",
        "is_interactive": False,
        "state": "CO",
    }
    setup.label_studio.projects = [Project("Cats", TEMPLATES["brush"].with_labels(), [backend])]
    setup.connect(Wish(project=1))
    (found,) = setup.label_studio.projects[0].backends
    assert found["is_interactive"]


def test_a_service_that_has_moved_is_updated_and_not_connected_a_second_time(setup: Setup) -> None:
    setup.connect(Wish(create="Cars"))
    with serving(RunningService()) as moved:
        setup.label_studio.elsewhere = {setup.service.localhost}
        connected = setup.connect(Wish(create="Cars"), port=moved.port)
        (backend,) = setup.label_studio.projects[0].backends
        assert backend["url"] == moved.localhost
        assert connected.done[0] == f"Updated {moved.localhost} as its interactive ML backend."
        assert "webhook" in connected.done[1]


def test_the_services_basic_auth_is_handed_to_label_studio(setup: Setup) -> None:
    with serving(RunningService("Basic dXNlcjpwYXNz")) as guarded:
        setup.label_studio.projects = [Project()]
        connected = setup.connect(
            Wish(project=1), port=guarded.port, basic_auth_user="user", basic_auth_pass="pass"
        )
        assert not [check for check in connected.checks if check.state == "problem"]
        with pytest.raises(LabelStudioError, match="wants a user and a password"):
            setup.connect(Wish(create="Other"), port=guarded.port)


def test_a_private_network_that_label_studio_blocks_ends_it_with_both_switches(setup: Setup) -> None:
    setup.label_studio.blocks_backends = True
    with pytest.raises(LabelStudioError, match=r"ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false"):
        setup.connect(Wish(create="Cars"))


def test_a_label_studio_that_blocks_webhooks_only_keeps_the_backend_and_gets_the_webhook_later(
    setup: Setup,
) -> None:
    setup.label_studio.blocks_webhooks = True
    connected = setup.connect(Wish(create="Cars"))
    assert {check.state for check in connected.checks if check.name in {"connection", "webhooks"}} == {
        "ok",
        "warning",
    }
    setup.label_studio.blocks_webhooks = False
    connected = setup.connect(Wish(create="Cars"))
    assert connected.done == ("Made the webhook that tells of saved annotations.",)
    assert {check.state for check in connected.checks if check.name == "webhooks"} == {"ok"}


def test_an_address_that_label_studio_cannot_reach_ends_it_with_what_to_give_instead(setup: Setup) -> None:
    setup.label_studio.elsewhere = {setup.service.localhost}
    with pytest.raises(LabelStudioError, match=r"--backend http://host\.docker\.internal"):
        setup.connect(Wish(create="Cars"))


def test_the_backends_address_can_be_given(setup: Setup) -> None:
    setup.connect(Wish(create="Cars", backend=setup.service.url))
    assert setup.label_studio.projects[0].backends[0]["url"] == setup.service.url


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        (Wish(), "--project"),
        (Wish(project=1, create="Cars"), "--project"),
        (Wish(create="Cars", template="masks"), "brush, bitmask, polygon, boxes, words, video"),
        (Wish(create="Cars", files=(Path("nowhere"),)), "nowhere doesn't exist"),
    ],
)
def test_a_wrong_wish_is_refused_before_anything_is_made(setup: Setup, wish: Wish, text: str) -> None:
    with pytest.raises(RequestError, match=text):
        setup.connect(wish)
    assert not setup.label_studio.writes


def test_a_folder_without_media_is_refused(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(RequestError, match="No picture or video"):
        setup.connect(Wish(create="Cars", files=(tmp_path,)))


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("labels", [("Object",), ("Car", 'a "quoted" & <odd> one')])
def test_every_template_is_a_config_without_anything_to_complain_about(
    name: str, labels: tuple[str, ...]
) -> None:
    config = TEMPLATES[name].with_labels(labels)
    assert labeling_config.lint(config) == []
    parsed = labeling_config.parse(config)
    prompts = parsed.prompts(next(iter(parsed.objects)))
    assert prompts
    assert all(prompt.tag.prompts for prompt in prompts)
