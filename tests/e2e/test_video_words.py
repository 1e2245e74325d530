"""Words typed for a video in the real editor, with the demo model, the demo detector and the shipped clip."""

from __future__ import annotations

from pathlib import Path

from label_studio_sam2.demo import SAMPLE_CLIP
from label_studio_sam2.labelstudio.config.templates import TEMPLATES

from tests.e2e.backend import Backend
from tests.e2e.editor import Editor
from tests.e2e.label_studio import LabelStudio
from tests.fakes.asking_video import mean_iou
from tests.fakes.eventually import eventually

WORDS = "Player: green thing, Ball: orange thing"
SHOWN = """() => Htx.annotationStore.selected.regions.filter(region => region.type)
    .map(region => [region.cleanId, region.labels, region.sequence?.length])"""
"""What is listed beside the video; the words have no type, unless the editor makes a region of them."""

FRAME = 10
PLACE = """([id, frame]) => Htx.annotationStore.selected.regions.find(one => one.cleanId === id).getShape(frame).x"""
MOVE = """([id, frame]) => { const region = Htx.annotationStore.selected.regions.find(one => one.cleanId === id);
    const shape = region.getShape(frame); region.updateShape({...shape, x: shape.x + 5}, frame);
    return region.getShape(frame).x }"""
"""What the editor does when a box is dragged."""

PATIENCE_SECONDS = 120
AS_MANY = f"(count) => ({SHOWN})().length === count"


def test_words_that_are_added_become_tracked_regions_at_once_and_added_again_the_same_ones(
    label_studio: LabelStudio, backend: Backend, editor: Editor, screenshots: Path
) -> None:
    config = TEMPLATES["video-words"].with_labels(("Player", "Ball"), frame_rate=12)
    project = label_studio.create_project("words", config)
    (task,) = label_studio.upload(project, sample_mp4=SAMPLE_CLIP.read_bytes())
    label_studio.connect(project, backend.url)
    editor.open(project, task)

    answered = editor.ask(WORDS)

    tracks = [[one["id"], one["value"]["labels"], len(one["value"]["sequence"])] for one in answered]
    assert sorted(labels for _, labels, _ in tracks) == [["Ball"], ["Player"]]
    editor.page.wait_for_function(AS_MANY, arg=len(tracks))
    assert sorted(editor.page.evaluate(SHOWN)) == sorted(tracks)
    editor.screenshot(screenshots / "video_words.png")
    editor.delete_words()
    assert editor.ask(WORDS) == answered
    editor.page.wait_for_function(AS_MANY, arg=len(tracks))
    assert sorted(editor.page.evaluate(SHOWN)) == sorted(tracks)
    editor.submit()
    (annotation,) = label_studio.annotations(task)
    text, *saved = sorted(annotation["result"], key=lambda one: str(one["type"]))
    assert (text["type"], text["value"]["text"]) == ("textarea", [WORDS])
    overlaps = {one["value"]["labels"][0]: mean_iou(one, thing) for one, thing in _of(saved)}
    assert min(overlaps.values()) > 0.9


def _of(saved: list[dict[str, object]]) -> list[tuple[dict[str, object], int]]:
    """Each region with the number of its object in the clip."""
    things = {"Player": 1, "Ball": 0}
    return [(one, things[one["value"]["labels"][0]]) for one in saved]  # type: ignore[index]


def test_a_track_that_was_moved_by_hand_stays_so_where_words_are_added_again(
    label_studio: LabelStudio, backend: Backend, editor: Editor
) -> None:
    """Once the editor has saved its draft, some seconds after the change."""
    config = TEMPLATES["video-words"].with_labels(("Player", "Ball"), frame_rate=12)
    project = label_studio.create_project("moved", config)
    (task,) = label_studio.upload(project, sample_mp4=SAMPLE_CLIP.read_bytes())
    label_studio.connect(project, backend.url)
    editor.open(project, task)
    answered = editor.ask(WORDS)
    editor.page.wait_for_function(AS_MANY, arg=len(answered))
    eventually(lambda: answered[0]["id"] in _places(label_studio, task), PATIENCE_SECONDS, every=1)
    assert [one["id"] for one in _again(editor)] == [one["id"] for one in answered]

    moved = editor.page.evaluate(MOVE, [answered[0]["id"], FRAME])

    eventually(
        lambda: abs(_places(label_studio, task)[answered[0]["id"]] - moved) < 0.01, PATIENCE_SECONDS, every=1
    )
    assert [one["id"] for one in _again(editor)] == [one["id"] for one in answered[1:]]
    assert editor.page.evaluate(PLACE, [answered[0]["id"], FRAME]) == moved


def _again(editor: Editor) -> list[dict[str, object]]:
    editor.delete_words()
    return editor.ask(WORDS)


def _places(label_studio: LabelStudio, task: int) -> dict[str, float]:
    """Where the tracks of the draft begin on a frame, in percent."""
    return {
        region["id"]: keyframe["x"]
        for draft in label_studio.call("GET", f"/api/tasks/{task}/drafts")
        for region in draft["result"]
        for keyframe in region["value"].get("sequence", ())
        if keyframe["frame"] == FRAME
    }
