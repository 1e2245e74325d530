from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from label_studio_sam2.commands.running import running
from label_studio_sam2.engine.tuning import Limits
from label_studio_sam2.geometry import iou
from label_studio_sam2.types import Bitmap, Size

from tests.engine.networks import demo_model
from tests.fit_server import FitServer, annotation_created, brush, noise, png, start_training
from tests.http import test_video as video
from tests.http.asking import CONFIG, body, click, data_url, inside, mask_of, regions_of
from tests.http.conftest import settings
from tests.labelstudio.servers import serving
from tests.ring_project import ring_picture
from tests.tuning_service import QUICK, ended, reaches_tuning, started, state, trained, tuning

LONG = Limits(seconds=600, steps=100_000, scenes=2)
"""Goes on until it is stopped."""

ACCEPTED = 40
ENOUGH = 24
ASKED = range(1000, 1010)


@pytest.fixture(scope="module")
def site() -> Iterator[FitServer]:
    with serving(FitServer()) as site:
        yield site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def client(site: FitServer, folder: Path) -> Iterator[httpx.Client]:
    """A service shared by tests that have a project each, and whose runs are quick."""
    with tuning(folder, site, QUICK) as client:
        yield client


def blot(seed: int) -> Bitmap:
    rng = np.random.default_rng(seed)
    mask = np.zeros((64, 96), np.bool_)
    x, y = int(rng.integers(0, 70)), int(rng.integers(0, 40))
    mask[y : y + int(rng.integers(8, 24)), x : x + int(rng.integers(8, 26))] = True
    return mask


def nothing_accepted(site: FitServer, project: int) -> None:
    site.annotate(project, noise(1), [blot(1)], was_cancelled=True)


def a_single_mask(site: FitServer, project: int) -> None:
    site.annotate(project, noise(1), [blot(1)])


def unreadable_pictures(site: FitServer, project: int) -> None:
    for seed in range(ENOUGH):
        site.add(project, "image", b"no picture", {"result": [brush(blot(seed), "a")]})


def masks_of_another_size(site: FitServer, project: int) -> None:
    for seed in range(ENOUGH):
        site.annotate(project, noise(seed, 60, 50), [blot(seed)])


def random_masks(site: FitServer, project: int) -> None:
    for seed in range(ENOUGH):
        site.annotate(project, noise(seed), [blot(seed)])


def contradictory_masks(site: FitServer, project: int) -> None:
    for seed in range(ENOUGH):
        picture = ring_picture(seed, 96, 64)
        accepted = picture.accepted if seed % 2 else picture.accepted & ~picture.ring
        site.annotate(project, picture.pixels, [accepted])


def rings(site: FitServer, project: int, count: int = ACCEPTED) -> None:
    for seed in range(count):
        picture = ring_picture(seed)
        site.annotate(project, picture.pixels, [picture.accepted])


def answered_by(client: httpx.Client, project: int) -> str:
    asked = body(data_url(noise(1)), [click(9, 9, Size(64, 96))], project=f"{project}.1")
    return str(client.post("/predict", json=asked).json()["results"][0]["model_version"])


def clicked(client: httpx.Client, project: int) -> tuple[float, str]:
    """The mean IoU of one click on new pictures of rings, and who answered."""
    ious, version = [], ""
    for seed in ASKED:
        picture = ring_picture(seed)
        at = click(*inside(picture.ring), Size(*picture.ring.shape))
        answer = client.post("/predict", json=body(data_url(picture.pixels), [at], project=f"{project}.1"))
        ious.append(iou(mask_of(regions_of(answer)[0]), picture.accepted))
        version = answer.json()["results"][0]["model_version"]
    return float(np.mean(ious)), version


@pytest.mark.slow
def test_forty_accepted_masks_teach_one_click_what_the_project_calls_an_object(
    site: FitServer, tmp_path: Path
) -> None:
    project, other = site.make(), site.make()
    rings(site, project)
    with tuning(tmp_path, site) as client:
        before, base = clicked(client, project)
        result = trained(client, project)
        assert result["used"], result["reason"]
        after, version = clicked(client, project)
        assert after >= before + 0.10, (before, after, result)
        assert result["figures"]["generic_loss"] <= 0.01
        assert (base, version) == (demo_model().version, f"{demo_model().version}+project{project}.v1")
        assert clicked(client, other) == (before, base)
        assert version in client.get("/versions").json()["versions"]
        report = client.get(result["report"])
        assert report.headers["content-type"].startswith("text/html")
        assert report.text.count("<img") == 6
        assert client.post("/setup", json={"project": f"{project}.1", "schema": CONFIG}).json() == {
            "model_version": version
        }


@pytest.mark.parametrize(
    ("accepted", "reason"),
    [
        (nothing_accepted, "too few"),
        (a_single_mask, "too few"),
        (unreadable_pictures, "24 could not be used"),
        (masks_of_another_size, "24 could not be used"),
    ],
)
def test_a_project_that_teaches_nothing_leaves_the_model_as_it_is_and_says_why(
    accepted: Callable[[FitServer, int], None], reason: str, site: FitServer, client: httpx.Client
) -> None:
    project = site.make()
    accepted(site, project)
    result = trained(client, project)
    assert (result["used"], reason in result["reason"]) == (False, True), result
    assert answered_by(client, project) == demo_model().version


@pytest.mark.slow
def test_a_run_that_learns_nothing_leaves_the_model_as_it_is_and_says_why(
    site: FitServer, tmp_path: Path
) -> None:
    project = site.make()
    random_masks(site, project)
    with tuning(tmp_path, site, Limits(steps=0, scenes=1)) as client:
        result = trained(client, project)
        assert (result["used"], "Not used: held-out IoU changes by +0.000" in result["reason"]) == (
            False,
            True,
        )
        assert result["version"] == f"project{project}.v1"
        assert answered_by(client, project) == demo_model().version


@pytest.mark.slow
@pytest.mark.parametrize("accepted", [random_masks, contradictory_masks])
def test_labels_without_sense_never_make_the_model_worse_however_long_it_is_tried(
    accepted: Callable[[FitServer, int], None], site: FitServer, tmp_path: Path
) -> None:
    project = site.make()
    accepted(site, project)
    with tuning(tmp_path, site) as client:
        result = trained(client, project)
        assert result["reason"].startswith("Used" if result["used"] else "Not used"), result
        if result["used"]:  # rectangles on noise still teach to fill the box
            assert all(ious["after"] > ious["before"] for ious in result["figures"]["held_out"].values()), (
                result
            )
            assert result["figures"]["generic_loss"] <= 0.01, result
        else:
            assert answered_by(client, project) == demo_model().version


def test_only_submitted_masks_count_each_region_once_and_a_rectangle_is_none(
    site: FitServer, client: httpx.Client
) -> None:
    project = site.make()
    mask, picture = brush(blot(1), "a"), png(noise(1))
    box = {"x": 10, "y": 10, "width": 40, "height": 40, "rotation": 0, "rectanglelabels": ["Car"]}
    outline = {"points": [[10, 10], [80, 10], [80, 80]], "closed": True, "polygonlabels": ["Car"]}
    again = mask | {"type": "keypointlabels", "from_name": "click"}
    site.add(project, "image", picture, {"result": [mask, again, mask | {"id": "b", "value": outline}]})
    site.add(project, "image", picture, {"result": [mask | {"type": "rectanglelabels", "value": box}]})
    site.add(project, "image", picture, {"result": [mask], "was_cancelled": True})
    site.add(project, "image", picture)["predictions"] = [{"id": 1, "result": [mask]}]
    site.add(project, "image", picture)["drafts"] = [{"id": 1, "result": [mask]}]
    assert "2 accepted masks on 1 tasks" in trained(client, project)["reason"]


@pytest.mark.slow
def test_masks_inside_a_videos_keyframes_are_learnt_from(site: FitServer, client: httpx.Client) -> None:
    project = site.make(video.CONFIG)
    (tracked,) = video.ask(client, video.region("a", video.keyframe(1, 0)))
    del tracked["value"]["sequence"][1:]
    clip = video.demo.SAMPLE_CLIP.read_bytes()
    for _ in range(ENOUGH):
        site.add(project, "video", clip, {"result": [tracked]})
    counts = trained(client, project)["counts"]
    assert (counts["tasks"], counts["masks"], counts["unusable"]) == (ENOUGH, ENOUGH, 0)


@pytest.mark.slow
def test_the_split_is_by_task_and_the_same_in_every_run(site: FitServer, client: httpx.Client) -> None:
    project = site.make()
    random_masks(site, project)
    first, second = (trained(client, project) for _ in range(2))
    assert first["counts"] == second["counts"]
    assert first["figures"]["held_out"] == second["figures"]["held_out"]
    assert (first["version"], second["version"]) == (f"project{project}.v1", f"project{project}.v2")


def test_start_training_without_a_label_studio_fails_with_what_to_set(tmp_path: Path) -> None:
    given = settings(model_cache=tmp_path, label_studio_url="")
    with running(given) as address, httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        job = ended(client, started(client, 1))
        assert job["state"] == "failed"
        assert "LABEL_STUDIO_URL" in job["message"]


@pytest.mark.slow
def test_a_storm_of_events_is_answered_at_once_and_becomes_one_run(
    site: FitServer, client: httpx.Client
) -> None:
    project = site.make()
    random_masks(site, project)
    due = annotation_created(project, every=1, annotations=ENOUGH)
    with site.silent() as asked:  # nothing that Label Studio would have to say is waited for
        jobs = {started(client, project) for _ in range(5)}
        asked.wait()
        jobs |= {client.post("/webhook", json=event).json()["job"] for event in (due, due)}
        train = client.post("/train", json={"project": f"{project}.123"})
        assert train.status_code == 201
        (job,) = jobs | {train.json()["job"]}
        assert state(client, job)["state"] == "running"
    assert ended(client, job)["state"] == "done"
    assert len(site.requests(f"/api/projects/{project}/")) == 1


@pytest.mark.slow
def test_events_are_answered_and_other_projects_wait_their_turn_while_one_is_tuned(
    site: FitServer, tmp_path: Path
) -> None:
    first, second = site.make(), site.make()
    random_masks(site, first)
    with tuning(tmp_path, site, LONG) as client:
        job = started(client, first)
        reaches_tuning(client, job)
        waiting = started(client, second)
        assert client.post("/webhook", json={"action": "TASKS_CREATED", "project": {"id": 1}}).is_success
        assert (state(client, job)["state"], state(client, waiting)["state"]) == ("running", "queued")
        assert site.requests(f"/api/projects/{second}/") == []
        assert client.delete(f"/jobs/{job}").is_success
        stopped, next_one = ended(client, job), ended(client, waiting)
        assert stopped["state"] == "cancelled"
        assert "too few" in next_one["result"]["reason"]
        assert next_one["started"] >= stopped["finished"]
        assert client.get("/versions").json()["tuned"] == []


def test_two_services_with_the_same_folder_never_tune_one_project_at_once(
    site: FitServer, client: httpx.Client, folder: Path
) -> None:
    project = site.make()
    with tuning(folder, site, QUICK) as elsewhere, site.silent() as asked:
        job = started(client, project)
        asked.wait()
        refused = ended(elsewhere, started(elsewhere, project))
        assert (refused["state"], "tuned already" in refused["message"]) == ("failed", True)
        assert state(client, job)["state"] == "running"
    assert ended(client, job)["state"] == "done"


def test_a_project_may_ask_to_be_tuned_every_few_annotations(site: FitServer, client: httpx.Client) -> None:
    project = site.make()

    def starts(annotations: int) -> str | None:
        event = annotation_created(project, every=3, annotations=annotations)
        job: str | None = client.post("/webhook", json=event).json().get("job")
        return job

    for seed in range(4):
        site.annotate(project, noise(seed), [blot(seed)])
    assert starts(2) is None
    job = starts(3)
    assert job is not None
    ended(client, job)
    assert starts(6) is None  # it has read four: from there it counts, whatever the events said
    assert starts(7) is not None


def test_a_run_learns_of_annotations_whose_events_were_lost(site: FitServer, client: httpx.Client) -> None:
    project = site.make()
    for count in range(3):
        assert f"{count} accepted masks" in trained(client, project)["reason"]
        site.annotate(project, noise(count), [blot(count)])


@pytest.mark.parametrize(
    "event",
    [
        {"action": "START_TRAINING"},
        {"action": "START_TRAINING", "project": {"id": "one"}},
        {"action": "ANNOTATION_CREATED", "project": {"id": 1, "label_config": "<View"}},
        {"action": "ANNOTATION_CREATED", "project": 1},
        {},
    ],
)
def test_an_event_that_asks_for_nothing_begins_nothing(event: dict[str, Any], client: httpx.Client) -> None:
    answer = client.post("/webhook", json=event)
    assert (answer.status_code, "job" in answer.json()) == (202, False)


def test_the_recorded_event_is_understood(client: httpx.Client) -> None:
    assert client.post("/webhook", json=start_training(9999)).json().keys() >= {"status", "action", "job"}
