"""The page on the real service, with the demo model."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from label_studio_sam2 import demo
from label_studio_sam2.engine.tuning.version import Verdict
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import DEMO, Settings
from numpy.typing import NDArray
from playwright.sync_api import Page, expect

from tests.fakes.chromium import OpenPage
from tests.fakes.networks import demo_model
from tests.fakes.overlay import click, drag, overlay, shown


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a service without a Label Studio, that was tuned to project 7 once."""
    folder = tmp_path_factory.mktemp("model_cache")
    tuned(Versions(folder / "versions"))
    given = Settings(
        model=DEMO, device="cpu", redis_url="", basic_auth_user="", label_studio_url="", model_cache=folder
    )
    with running(given) as address:
        yield f"{address}/"


def tuned(versions: Versions) -> None:
    model = demo_model()
    held_out = {"one click": {"before": 0.8, "after": 0.85}}
    verdict = Verdict(True, "Used: it is better.", {"held_out": held_out})
    with versions.training(7):
        version = versions.save(7, model, model.decoder, verdict, {})
        versions.add_report(version, "<!doctype html><title>Report</title><h1>Project 7, version 1</h1>")
    versions.use(7, 1)


@pytest.fixture
def page(open_page: OpenPage, address: str) -> Page:
    page = open_page(address)
    shown(page)
    return page


def iou(drawn: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    size = (drawn.shape[1], drawn.shape[0])
    wanted = cv2.resize(truth.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return float((drawn & wanted).sum() / (drawn | wanted).sum())


@pytest.mark.parametrize("prompt", demo.sample_prompts(), ids=lambda prompt: prompt.name)
def test_a_click_on_the_sample_picture_covers_the_object(page: Page, prompt: demo.SamplePrompt) -> None:
    truth = demo.sample_masks()[prompt.object]
    height, width = truth.shape
    click(page, prompt.click[0] / width, prompt.click[1] / height)
    expect(page.locator("#answer")).to_contain_text("score")
    assert iou(overlay(page), truth) > 0.8


def test_a_box_and_a_negative_click_work_too(page: Page) -> None:
    prompt = demo.sample_prompts()[0]
    truth = demo.sample_masks()[prompt.object]
    height, width = truth.shape
    left, top, right, bottom = prompt.box
    drag(page, (left / width, top / height), (right / width, bottom / height))
    expect(page.locator("#masks-title")).to_have_text("1 mask")
    click(page, prompt.outside[0] / width, prompt.outside[1] / height, modifiers=["Alt"])
    expect(page.locator("#busy")).to_be_hidden()
    expect(page.locator("#masks-title")).to_have_text("1 mask")
    assert iou(overlay(page), truth) > 0.8


def test_the_curl_command_gets_the_same_mask_in_a_shell(page: Page, tmp_path: Path) -> None:
    prompt = demo.sample_prompts()[1]
    click(page, prompt.click[0] / 1280, prompt.click[1] / 960)
    page.get_by_text("The same request as a curl command").click()
    expect(page.locator("#answer")).to_contain_text("score")
    expect(page.locator("#curl-text")).not_to_be_empty()
    command = page.locator("#curl-text").input_value()
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True, text=True)
    answer = json.loads(done.stdout)
    first = answer["results"][0]["result"][0]
    assert first["type"] == "bitmasklabels"
    expect(page.locator("#masks button, #masks li > span").first).to_contain_text(f"{first['score']:.2f}")


@pytest.mark.slow
def test_the_sample_clip_is_followed_and_its_masks_are_shown(page: Page) -> None:
    page.get_by_role("button", name="Sample clip").click()
    expect(page.locator("#source-name")).to_have_text("Sample clip")
    shown(page)
    truth = demo.sample_clip_masks()[:, 0]
    rows, columns = np.nonzero(truth[0])
    height, width = truth[0].shape
    drag(page, (columns.min() / width, rows.min() / height), (columns.max() / width, rows.max() / height))
    expect(page.locator("#answer")).to_contain_text("Tracked up to frame", timeout=30_000)
    page.locator("#frame").fill("6")
    expect(page.locator("#masks")).to_contain_text("frame 6: visible")
    page.wait_for_function("() => !document.getElementById('clip').seeking")
    assert iou(overlay(page), truth[5]) > 0.7


def test_an_unreachable_picture_is_explained_in_a_sentence(page: Page) -> None:
    refused = "http://127.0.0.1:9/picture.jpg"
    page.route(refused, lambda route: route.fulfill(path=demo.SAMPLE_IMAGE))
    page.get_by_label("Address of a picture or video").fill(refused)
    page.get_by_role("button", name="Load").click()
    expect(page.locator("#source-name")).to_have_text("picture.jpg")
    shown(page)
    click(page, 0.5, 0.5)
    expect(page.get_by_role("alert")).to_contain_text("MEDIA_ALLOWED_HOSTS")


def test_the_status_names_the_demo_model(page: Page) -> None:
    expect(page.locator("#pill")).to_have_text(
        "Ready: demo on cpu, but 1 problem in the set-up"
    )  # no Label Studio
    expect(page.locator("#demo-note")).to_be_visible()
    click(page, 0.5, 0.5)
    expect(page.locator("#answer")).to_contain_text("score")
    expect(page.locator("#cache")).to_contain_text("encoded anew")


def test_the_checks_name_what_is_missing_and_what_to_set(page: Page) -> None:
    expect(page.locator("#checks")).to_contain_text("LABEL_STUDIO_URL")
    page.get_by_text("without a finding").click()
    expect(page.locator("#checks-fine")).to_contain_text("The demo model is in the package.")
    expect(page.locator("#look-again")).to_have_text("Look again")


def test_a_tuned_version_leads_to_its_report(page: Page) -> None:
    expect(page.locator("#tuned")).to_contain_text("Project 7, version 1in use")
    page.get_by_role("link", name="Report of project 7, version 1").click()
    expect(page.get_by_role("heading")).to_have_text("Project 7, version 1")


@pytest.mark.slow
def test_words_find_the_sample_pictures_objects_with_the_demo_detector(page: Page) -> None:
    page.get_by_label("In words").fill("ring, green, violet")
    page.keyboard.press("Enter")
    expect(page.locator("#masks li")).to_have_count(4, timeout=60_000)
    expect(page.locator("#masks li")).to_have_text(
        [re.compile(name) for name in ("ring", "green", "violet", "ring")]
    )
    truth = np.any([demo.sample_masks()[prompt.object] for prompt in demo.sample_prompts()], axis=0)
    height, width = truth.shape
    shown_there = cv2.resize(overlay(page).astype(np.uint8), (width, height)) > 0
    assert (shown_there & truth).sum() / truth.sum() > 0.85
