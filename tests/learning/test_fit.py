from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import numpy as np
import pytest
from label_studio_sam2.engine.tuning.tune import Limits
from label_studio_sam2.geometry import iou
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Size
from label_studio_sam2.wording import counted

from demo_model.scenes import draw_scene
from tests.fakes import asking_video as video
from tests.fakes.accepted import ENOUGH, answered_by, blot, random_masks
from tests.fakes.asking import CONFIG, body, click, data_url, inside, mask_of, regions_of
from tests.fakes.clips import write_clip
from tests.fakes.eventually import eventually
from tests.fakes.fit_server import CONFIG as FIT_CONFIG
from tests.fakes.fit_server import FitServer, annotation_created, brush, noise, png, start_training
from tests.fakes.networks import demo_model
from tests.fakes.ring_project import ring_picture
from tests.fakes.servers import serving
from tests.fakes.settings import settings
from tests.fakes.tuning_service import QUICK, ended, reaches_tuning, started, state, trained, tuning

LONG = Limits(seconds=600, steps=100_000, scenes=2)
"""Goes on until it is stopped."""

ACCEPTED = 40
ASKED = range(1000, 1010)


def asking_every(annotations: int) -> str:
    """A config that asks to be tuned every so many annotations."""
    return FIT_CONFIG.replace('smart="false"', f'smart="false" model_fit_every="{annotations}"')


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


def contradictory_masks(site: FitServer, project: int) -> None:
    for seed in range(ENOUGH):
        picture = ring_picture(seed, 96, 64)
        accepted = picture.accepted if seed % 2 else picture.accepted & ~picture.ring
        site.annotate(project, picture.pixels, [accepted])


def rings(site: FitServer, project: int, count: int = ACCEPTED) -> None:
    for seed in range(count):
        picture = ring_picture(seed)
        site.annotate(project, picture.pixels, [picture.accepted])


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
        assert after >= before + 0.04, (before, after, result)
        assert result["figures"]["generic_loss"] <= 0.01
        assert result["figures"]["agreement"] >= 0.95
        assert (base, version) == (demo_model().version, f"{demo_model().version}+{result['version']}")
        assert clicked(client, other) == (before, base)
        assert version in client.get("/versions").json()["versions"]
        report = client.get(result["report"])
        assert report.headers["content-type"].startswith("text/html")
        assert report.text.count("<img") == 12  # six examples, before and after
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
        assert result["version"].startswith(f"project{project}.v1-")
        assert answered_by(client, project) == demo_model().version


@pytest.mark.slow
@pytest.mark.parametrize("accepted", [random_masks, contradictory_masks])
def test_labels_without_sense_never_make_the_model_worse_however_long_it_is_tried(
    accepted: Callable[[FitServer, int], None], site: FitServer, tmp_path: Path
) -> None:
    project = site.make()
    accepted(site, project)
    with tuning(tmp_path, site) as client:
        before, base = clicked(client, project)
        result = trained(client, project)
        after, version = clicked(client, project)
        assert after > before - 0.02, result  # rings, which such labels say nothing of
        assert (version == base) == (not result["used"])


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
    assert "2 accepted masks on 1 task are" in trained(client, project)["reason"]


@pytest.mark.slow
def test_masks_inside_a_videos_keyframes_are_learnt_from(
    site: FitServer, client: httpx.Client, tmp_path: Path
) -> None:
    project = site.make(video.CONFIG)
    (tracked,) = video.ask(client, video.region("a", video.keyframe(1, 0)))
    sequence = tracked["value"]["sequence"]
    del sequence[1:]
    height, width = sequence[0]["rle"]["size"]
    for seed in range(ENOUGH):
        scene = draw_scene(seed, width=width, height=height).image
        clip = write_clip(
            tmp_path / f"{seed}.mp4",
            frames=3,
            rate=12,
            size=(width, height),
            draw=lambda *_: scene,  # noqa: B023
        )
        site.add(project, "video", clip.read_bytes(), {"result": [tracked]})
    counts = trained(client, project)["counts"]
    assert (counts["tasks"], counts["masks"], counts["unusable"]) == (ENOUGH, ENOUGH, 0)


@pytest.mark.slow
def test_tasks_that_show_one_video_are_too_few_however_many_they_are(
    site: FitServer, client: httpx.Client
) -> None:
    project = site.make(video.CONFIG)
    (tracked,) = video.ask(client, video.region("a", video.keyframe(1, 0)))
    del tracked["value"]["sequence"][1:]
    for _ in range(ENOUGH):
        site.add(project, "video", video.demo.SAMPLE_CLIP.read_bytes(), {"result": [tracked]})
    reason = trained(client, project)["reason"]
    assert f"on {ENOUGH} tasks that show 1 different picture are too few" in reason
    assert "on about 11 more tasks (12 in all)" in reason


@pytest.mark.slow
def test_the_split_is_by_task_and_the_same_in_every_run(site: FitServer, client: httpx.Client) -> None:
    project = site.make()
    random_masks(site, project)
    first, second = (trained(client, project) for _ in range(2))
    assert first["counts"] == second["counts"]
    assert first["figures"]["held_out"] == second["figures"]["held_out"]
    assert (first["number"], second["number"]) == (1, 2)
    assert first["version"].removeprefix(f"project{project}.v1") == second["version"].removeprefix(
        f"project{project}.v2"
    )  # the same content has the same mark


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
    site.projects[project - 1].label_config = asking_every(1)
    due = annotation_created(project, every=1, annotations=ENOUGH)
    with site.silent() as asked:  # nothing that Label Studio would have to say is waited for
        jobs = {started(client, project) for _ in range(5)}
        asked.wait()
        for event in (due, due):
            assert "job" not in client.post("/webhook", json=event).json()  # what it says is looked up first
        train = client.post("/train", json={"project": f"{project}.123"})
        assert train.status_code == 201
        (job,) = jobs | {train.json()["job"]}
        assert state(client, job)["state"] == "running"
    assert ended(client, job)["state"] == "done"
    eventually(lambda: len(site.requests(f"/api/projects/{project}/")) >= 2)
    wait_past_the_next_look(client, site)
    assert len(fits(client, project)) == 1


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


@pytest.mark.slow
@pytest.mark.parametrize("part", ["Reading", "Looking", "Tuning", "Measuring"])
def test_a_run_is_cancelled_in_every_part_of_it_and_leaves_no_version(
    part: str, site: FitServer, tmp_path: Path
) -> None:
    project = site.make()
    rings(site, project, 24)
    limits = Limits(seconds=600, steps=100_000 if part == "Tuning" else 2, scenes=24)
    with tuning(tmp_path, site, limits) as client:
        job = started(client, project)
        eventually(lambda: state(client, job)["message"].startswith(part), 120)
        assert client.delete(f"/jobs/{job}").is_success
        eventually(lambda: state(client, job)["state"] == "cancelled", 20)
        assert client.get("/versions").json()["tuned"] == []


def test_two_services_with_the_same_folder_never_tune_one_project_at_once(
    site: FitServer, client: httpx.Client, folder: Path
) -> None:
    project = site.make()
    with tuning(folder, site, QUICK) as elsewhere, site.silent() as asked:
        fit = {"kind": "fit", "project": project}
        job = client.post("/jobs", json=fit).json()["id"]
        asked.wait()
        refused = ended(elsewhere, elsewhere.post("/jobs", json=fit).json()["id"])
        assert (refused["state"], "tuned already" in refused["message"]) == ("failed", True)
        assert state(client, job)["state"] == "running"
    assert ended(client, job)["state"] == "done"


def wait_past_the_next_look(client: httpx.Client, site: FitServer) -> None:
    """Until what was looked up has been acted on: looks are one after the other."""
    other = site.make()
    client.post("/webhook", json=annotation_created(other, every=1, annotations=1))
    eventually(lambda: bool(site.requests(f"/api/projects/{other}/")))


def fits(client: httpx.Client, project: int) -> list[dict[str, Any]]:
    """The project's fits, the newest first."""
    jobs = client.get("/jobs").json()["jobs"]
    return [job for job in jobs if (job["kind"], job["title"]) == ("fit", f"Project {project}")]


def test_a_project_may_ask_to_be_tuned_every_few_annotations(site: FitServer, client: httpx.Client) -> None:
    project = site.make(asking_every(3))

    def told(annotations: int) -> int:
        """How many fits there are once so many annotations were saved, an event was sent, and it was looked up."""
        while len(site.projects[project - 1].tasks) < annotations:
            seed = len(site.projects[project - 1].tasks)
            site.annotate(project, noise(seed), [blot(seed)])
        asked = len(site.requests(f"/api/projects/{project}/"))
        client.post("/webhook", json=annotation_created(project, every=3, annotations=annotations))
        eventually(lambda: len(site.requests(f"/api/projects/{project}/")) > asked)
        wait_past_the_next_look(client, site)
        eventually(lambda: all(job["finished"] for job in fits(client, project)), 60)
        return len(fits(client, project))

    assert [told(2), told(3), told(5), told(6)] == [0, 1, 1, 2]


def test_what_one_replica_has_tuned_another_one_does_not_tune_again(
    site: FitServer, client: httpx.Client, folder: Path
) -> None:
    project = site.make(asking_every(3))

    def told(replica: httpx.Client, annotations: int) -> int:
        """How many fits both have had once so many annotations were saved and this one has looked it up."""
        while len(site.projects[project - 1].tasks) < annotations:
            seed = len(site.projects[project - 1].tasks)
            site.annotate(project, noise(seed), [blot(seed)])
        asked = len(site.requests(f"/api/projects/{project}/"))
        replica.post("/webhook", json=annotation_created(project, every=3, annotations=annotations))
        eventually(lambda: len(site.requests(f"/api/projects/{project}/")) > asked)
        wait_past_the_next_look(replica, site)
        begun = [*fits(client, project), *fits(elsewhere, project)]
        eventually(
            lambda: all(job["finished"] for job in [*fits(client, project), *fits(elsewhere, project)]), 60
        )
        return len(begun)

    with tuning(folder, site, QUICK) as elsewhere:
        assert [told(client, 3), told(elsewhere, 4), told(elsewhere, 5), told(client, 5)] == [1, 1, 1, 1]
        assert [told(elsewhere, 6), told(client, 7)] == [2, 2]


def test_events_are_not_believed(site: FitServer, client: httpx.Client) -> None:
    """Anybody may send them: a config of the sender's own, a count of the sender's own, a project that there isn't."""
    silent, asking = site.make(), site.make(asking_every(10))
    for event in (
        annotation_created(silent, every=1, annotations=1000),
        annotation_created(asking, every=1, annotations=1000),
        annotation_created(4711, every=1, annotations=1000),
    ):
        client.post("/webhook", json=event)
    for project in (silent, asking, 4711):
        eventually(lambda: bool(site.requests(f"/api/projects/{project}/")))  # noqa: B023
    assert not fits(client, silent)
    assert not fits(client, asking)
    assert not fits(client, 4711)


def test_a_storm_of_events_asks_label_studio_little_and_takes_no_jobs_place(tmp_path: Path) -> None:
    with serving(FitServer()) as site, tuning(tmp_path, site, QUICK) as client:
        project = site.make(asking_every(10_000))
        before = len(client.get("/jobs").json()["jobs"])
        begun = monotonic()
        for number in range(300):
            event = annotation_created(project if number % 2 else number + 2, every=1, annotations=number)
            assert client.post("/webhook", json=event).status_code == 202
        passed = monotonic() - begun
        assert len(site.requests(f"/api/projects/{project}/")) <= 3 + passed / 0.1
        assert len(client.get("/jobs").json()["jobs"]) == before


def test_a_run_learns_of_annotations_whose_events_were_lost(site: FitServer, client: httpx.Client) -> None:
    project = site.make()
    for count in range(3):
        assert counted(count, "accepted mask") in trained(client, project)["reason"]
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


@pytest.mark.parametrize("event", ["START_TRAINING", "ANNOTATION_CREATED"])
@pytest.mark.parametrize("backends", [[], [{"id": 1, "url": "elsewhere"}]], ids=["none", "another"])
def test_an_event_tunes_only_a_project_that_is_connected_to_this_service(
    event: str, backends: list[dict[str, Any]], site: FitServer, client: httpx.Client
) -> None:
    project = site.make(asking_every(1))
    a_single_mask(site, project)
    site.projects[project - 1].backends = backends
    site.elsewhere.add("elsewhere")
    trained_by = annotation_created(project, every=1, annotations=1)
    sent = start_training(project) if event == "START_TRAINING" else trained_by
    assert client.post("/webhook", json=sent).status_code == 202

    def found() -> list[dict[str, Any]]:
        jobs = client.get("/jobs").json()["jobs"]
        return [job for job in jobs if job["title"] == f"Project {project}" and job["finished"]]

    eventually(lambda: bool(found()), seconds=30)
    (job,) = found()
    assert (job["state"], job["result"]["used"]) == ("done", False)
    assert f"connect --project {project}" in job["result"]["reason"]
