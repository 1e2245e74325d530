from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from label_studio_sam2.doctor import all_checks
from label_studio_sam2.doctor.check import Check, findings
from label_studio_sam2.doctor.look import Look, thorough
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.config.templates import TEMPLATES
from label_studio_sam2.settings import Settings

from tests.fakes.label_studio_server import Project, ProjectServer
from tests.fakes.redis_server import running as running_redis
from tests.fakes.regions import pages
from tests.fakes.running_service import FINE, RunningService
from tests.fakes.servers import LEGACY, PERSONAL, serving

BRUSH = TEMPLATES["brush"].with_labels()


@dataclass(frozen=True)
class Setup:
    """A working set-up, for each test to break in one place."""

    label_studio: ProjectServer
    service: RunningService
    folder: Path

    @property
    def project(self) -> Project:
        return self.label_studio.projects[0]

    def check(self, **settings: Any) -> list[Check]:
        defaults = {
            "model": "demo",
            "device": "cpu",
            "port": self.service.port,
            "model_cache": self.folder,
            "label_studio_url": self.label_studio.url,
            "label_studio_api_key": LEGACY,
        }
        return all_checks.run(Settings(**(defaults | settings)))

    def stop_service(self) -> None:
        self.service.shutdown()
        self.service.server_close()

    def check_all(self) -> list[Check]:
        given = Settings(
            port=self.service.port, label_studio_url=self.label_studio.url, label_studio_api_key=LEGACY
        )
        return all_checks.run(given, most=None)


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    with serving(ProjectServer()) as label_studio, serving(RunningService()) as service:
        backend = {"id": 1, "url": service.localhost, "is_interactive": True, "state": "CO"}
        task = {"id": 1, "data": {"image": "/data/upload/1/0123abcd-car.png"}}
        hook = {"id": 1, "url": service.localhost + "/webhook"}
        label_studio.projects = [Project("Cars", BRUSH, [backend], [task], webhooks=[hook])]
        label_studio.files["/data/upload/1/0123abcd-car.png"] = b"pixels"
        yield Setup(label_studio, service, tmp_path)


def bad(checks: list[Check]) -> list[Check]:
    return [check for check in checks if check.state == "problem"]


def bad_but_the_service(checks: list[Check]) -> list[Check]:
    """Where no service runs, which is a problem by itself."""
    return [check for check in bad(checks) if check.name not in {"service", "connection"}]


def only(checks: list[Check], name: str) -> Check:
    (found,) = [check for check in checks if check.name == name]
    return found


def test_a_working_set_up_has_no_problem_and_names_what_it_found(setup: Setup) -> None:
    checks = setup.check()
    assert not bad(checks)
    assert "1.23.2" in only(checks, "Label Studio").sentence
    assert only(checks, "key").sentence == "The legacy token is accepted."
    assert "demo-0123abcd is ready on cpu" in only(checks, "service").sentence


def test_a_personal_access_token_is_named_as_such(setup: Setup) -> None:
    checks = setup.check(label_studio_api_key=PERSONAL)
    assert not bad(checks)
    assert "personal access token" in only(checks, "key").sentence


def test_a_wrong_key_is_named_with_the_variable_to_set(setup: Setup) -> None:
    (found,) = bad(setup.check(label_studio_api_key="f" * 40))
    assert found.name == "key"
    assert "LABEL_STUDIO_API_KEY" in found.sentence
    assert found.remedy == "Set a new personal access token."


def test_a_legacy_token_that_the_server_refuses_is_told_from_a_wrong_key(setup: Setup) -> None:
    setup.label_studio.legacy_allowed = False
    (found,) = bad(setup.check())
    assert "legacy tokens switched off" in found.sentence
    assert "personal access token" in found.remedy


def test_an_unreachable_label_studio_is_named_with_its_address(setup: Setup) -> None:
    (found,) = bad(setup.check(label_studio_url="http://label-studio.invalid:8080"))
    assert found.name == "Label Studio"
    assert "http://label-studio.invalid:8080" in found.sentence
    assert found.remedy.startswith("Correct LABEL_STUDIO_URL")


def test_a_missing_label_studio_url_is_named(setup: Setup) -> None:
    (found,) = bad(setup.check(label_studio_url=""))
    assert "LABEL_STUDIO_URL isn't set" in found.sentence


def test_label_studio_at_a_localhost_that_is_our_own_container_gets_the_containers_way_out(
    setup: Setup,
) -> None:
    setup.label_studio.shutdown()
    setup.label_studio.server_close()
    (found,) = bad(setup.check(label_studio_url=setup.label_studio.url.replace("127.0.0.1", "localhost")))
    assert "nothing listens there" in found.sentence
    assert "from inside a container, where localhost is the container itself" in found.remedy
    assert "host.docker.internal" in found.remedy


def test_a_backend_at_a_localhost_that_is_label_studios_container_gets_the_containers_way_out(
    setup: Setup,
) -> None:
    setup.label_studio.elsewhere = {setup.service.localhost}
    (found,) = bad(setup.check())
    assert found.name == "connection"
    assert "in which localhost is the container itself" in found.sentence
    assert f"http://host.docker.internal:{setup.service.port}" in found.remedy


def test_a_backend_that_label_studio_cannot_reach_is_named_with_its_address(setup: Setup) -> None:
    setup.project.backends[0]["url"] = "http://sam2.invalid:9090"
    (found,) = bad(setup.check())
    assert found.name == "connection"
    assert "can't reach this service at http://sam2.invalid:9090" in found.sentence
    assert "serve" in found.remedy


def test_a_password_that_label_studio_sends_wrong_is_named_and_not_changed(setup: Setup) -> None:
    with serving(RunningService("Basic dXNlcjpwYXNz")) as guarded:
        known = {
            "url": guarded.localhost,
            "title": "Theirs",
            "auth_method": "BASIC_AUTH",
            "basic_auth_user": "user",
            "basic_auth_pass": "old",
        }
        setup.project.backends[0] |= known
        (found,) = bad(setup.check(port=guarded.port, basic_auth_user="user", basic_auth_pass="pass"))
    assert "wants a user and a password" in found.sentence
    assert "BASIC_AUTH_PASS" in found.remedy
    assert setup.project.backends[0].items() >= known.items()


def test_a_private_network_that_label_studio_blocks_names_both_switches(setup: Setup) -> None:
    setup.label_studio.blocks_backends = True
    (found,) = bad(setup.check())
    assert found.name == "connection"
    assert "private network" in found.sentence
    assert "ML_BLOCK_LOCAL_IP=false" in found.remedy
    assert "SSRF_PROTECTION_ENABLED=false" in found.remedy


def test_webhooks_that_label_studio_drops_are_a_warning(setup: Setup) -> None:
    setup.label_studio.blocks_webhooks = True
    checks = setup.check()
    assert not bad(checks)
    assert only(checks, "webhooks").state == "warning"
    assert "SSRF_PROTECTION_ENABLED=false" in only(checks, "webhooks").remedy


def test_a_missing_webhook_is_a_warning(setup: Setup) -> None:
    setup.project.webhooks.clear()
    found = only(setup.check(), "webhooks")
    assert found.state == "warning"
    assert "connect --project 1" in found.remedy


def test_a_config_without_an_output_tag_is_a_problem_of_its_project(setup: Setup) -> None:
    setup.project.label_config = """<View><Image name="image" value="$image"/>
      <KeyPointLabels name="click" toName="image" smart="true"><Label value="Car"/></KeyPointLabels></View>"""
    (found,) = bad(setup.check())
    assert (found.name, found.project) == ("labeling config", 1)
    assert "No tag can show a mask" in found.sentence
    assert "<BrushLabels" in found.remedy


def test_what_label_studio_itself_will_export_is_told_before_anybody_labels(setup: Setup) -> None:
    found = only(setup.check(), "exports")
    assert (found.state, found.project) == ("ok", 1)
    assert "Brush labels to PNG, Brush labels to NumPy, Brush labels to COCO." in found.sentence
    setup.project.label_config = BRUSH.replace("BrushLabels", "PolygonLabels")
    found = only(setup.check(), "exports")
    assert (found.state, found.project) == ("warning", 1)
    assert "KeyPointLabels turn them to key points" in found.sentence
    assert "connect --template polygon" in found.remedy


def test_a_project_that_comes_without_its_config_is_a_problem_in_a_sentence(setup: Setup) -> None:
    setup.label_studio.withheld = {"label_config"}
    (found,) = bad(setup.check())
    assert (found.name, found.project) == ("labeling config", 1)
    assert "no labeling config" in found.sentence


@pytest.mark.parametrize("address", ["/data/upload/1/0123abcd-car.png", "/data/upload/1/gone.png"])
def test_the_pages_of_a_repeater_are_fetched_as_the_task_has_them(setup: Setup, address: str) -> None:
    setup.project.label_config = pages()
    setup.project.tasks[0]["data"] = {"pages": [{"url": "/data/upload/1/0123abcd-car.png"}, {"url": address}]}
    media = [check for check in setup.check() if check.name == "media"]
    assert [check.state for check in media] == ["ok", "problem" if "gone" in address else "ok"]
    setup.project.tasks[0]["data"] = {}
    (found,) = bad(setup.check())
    assert '"$pages"' in found.sentence


def test_a_switched_off_interactive_switch_is_a_problem(setup: Setup) -> None:
    setup.project.backends[0]["is_interactive"] = False
    (found,) = bad(setup.check())
    assert found.name == "connection"
    assert "not interactive" in found.sentence
    assert "connect --project 1" in found.remedy


def test_a_project_that_is_named_and_has_no_backend_is_a_problem(setup: Setup) -> None:
    setup.project.backends.clear()
    settings = Settings(
        model="demo",
        device="cpu",
        port=setup.service.port,
        label_studio_url=setup.label_studio.url,
        label_studio_api_key=LEGACY,
    )
    (found,) = bad(all_checks.run(settings, project=1))
    assert "No ML backend" in found.sentence
    assert "connect --project 1" in found.remedy


def test_several_interactive_backends_are_a_warning_that_names_the_one_that_gets_the_clicks(
    setup: Setup,
) -> None:
    setup.project.backends.append(setup.project.backends[0] | {"id": 2, "url": "http://other.invalid"})
    found = only(setup.check(), "interactive backends")
    assert found.state == "warning"
    assert setup.service.localhost in found.sentence


def test_a_picture_that_is_gone_is_a_problem_of_its_task(setup: Setup) -> None:
    setup.label_studio.files.clear()
    (found,) = bad(setup.check())
    assert found.name == "media"
    assert "404" in found.sentence + found.remedy
    assert "/data/upload/1/0123abcd-car.png" in found.sentence


def test_a_project_without_tasks_is_a_warning(setup: Setup) -> None:
    setup.project.tasks.clear()
    found = only(setup.check(), "media")
    assert found.state == "warning"
    assert "--import" in found.remedy


@pytest.mark.parametrize(
    ("model", "remedy"),
    [("sam2.1_hiera_tiny", "models download sam2.1_hiera_tiny"), ("sam3_giant", "sam2.1_hiera_small")],
)
def test_a_missing_checkpoint_is_a_problem_with_the_command_that_gets_it(
    setup: Setup, model: str, remedy: str
) -> None:
    setup.stop_service()
    (found,) = bad_but_the_service(setup.check(model=model))
    assert found.name == "checkpoint"
    assert model in found.sentence
    assert remedy in found.remedy


def test_a_damaged_checkpoint_is_a_problem(setup: Setup) -> None:
    (setup.folder / "sam2.1_hiera_tiny.pt").write_bytes(b"half a download")
    setup.stop_service()
    (found,) = bad_but_the_service(setup.check(model="sam2.1_hiera_tiny"))
    assert found.name == "checkpoint"
    assert "not the published" in found.sentence


def test_a_redis_that_is_down_is_a_problem_and_one_that_answers_is_not(setup: Setup) -> None:
    setup.stop_service()
    with running_redis() as server:
        assert only(setup.check(redis_url=server.url), "redis").state == "ok"
        server.kill()
        (found,) = bad_but_the_service(setup.check(redis_url=server.url))
    assert found.name == "redis"
    assert "REDIS_URL" in found.remedy


def test_a_service_that_is_not_running_is_a_problem(setup: Setup) -> None:
    setup.stop_service()
    found = only(setup.check(), "service")
    assert found.state == "problem"
    assert "label-studio-sam2 serve" in found.remedy


def test_a_running_service_is_asked_for_its_own_model_and_disk_whatever_this_shell_has_set(
    setup: Setup,
) -> None:
    checks = setup.check(model="sam2.1_hiera_large", redis_url="unix:///nowhere.sock", device="cuda")
    assert not bad(checks)
    assert [only(checks, name).sentence for name in ("checkpoint", "device", "redis", "disk")] == [
        found["sentence"] for found in FINE[:4]
    ]


def test_what_a_running_service_has_found_bad_about_itself_is_said(setup: Setup) -> None:
    trouble = {"state": "problem", "remedy": "Set LABEL_STUDIO_URL."}
    disk = FINE[3] | {"state": "warning", "sentence": "0.1 GiB are free for /model_cache."}
    setup.service.finds([disk, FINE[4] | trouble | {"sentence": "LABEL_STUDIO_URL isn't set."}])
    checks = setup.check()
    assert only(checks, "disk").state == "warning"
    (found,) = bad(checks)
    assert found.name == "Label Studio, seen from the running service"
    assert found.sentence == "LABEL_STUDIO_URL isn't set."


def test_the_first_look_of_a_service_that_has_just_been_started_is_waited_for(setup: Setup) -> None:
    setup.service.looks_for = 3
    assert only(setup.check(model="no such thing"), "checkpoint").sentence == FINE[0]["sentence"]


def test_it_is_said_how_many_projects_were_looked_at_of_how_many(setup: Setup) -> None:
    broken = [setup.project.backends[0] | {"is_interactive": False}]
    setup.label_studio.projects = [
        Project("Old", BRUSH, [dict(broken[0])]),
        *(Project(f"{n}", BRUSH) for n in range(12)),
    ]
    found = only(setup.check(), "projects")
    assert found.sentence == "Looked at the 10 newest of 13 projects: none of them have an ML backend."
    assert "--all" in found.remedy
    everything = setup.check_all()
    assert only(everything, "projects").sentence == "Looked at all projects, 13: 1 of them has an ML backend."
    assert [(check.name, check.project) for check in bad(everything)] == [("connection", 1)]


def test_one_cause_in_several_projects_is_one_finding_and_another_one_is_not(setup: Setup) -> None:
    off = [setup.project.backends[0] | {"is_interactive": False}]
    gone = {"id": 1, "data": {"image": "/data/upload/9/gone.png"}}
    setup.label_studio.projects += [
        Project(f"{n}", BRUSH, [dict(off[0])], [gone | {"id": n}], webhooks=setup.project.webhooks)
        for n in range(3)
    ]
    setup.label_studio.projects[1].label_config = "<View"
    found = [one for one in findings(setup.check()) if one.check.state == "problem"]
    assert [(one.check.name, one.projects) for one in found] == [
        ("connection", (4, 3, 2)),
        ("media", (4, 3)),
        ("labeling config", (2,)),
    ]
    assert found[0].remedy.startswith("Run `label-studio-sam2 connect --project N`")
    assert "N" not in findings([found[0].check])[0].remedy.split("`")[1]


def test_a_service_that_is_not_ready_gives_its_reason(setup: Setup) -> None:
    setup.service.says |= {
        "ready": False,
        "reason": "DEVICE=cuda, but torch sees no such device. Set DEVICE=auto.",
    }
    (found,) = bad(setup.check())
    assert found.sentence == "DEVICE=cuda, but torch sees no such device."
    assert found.remedy == "Set DEVICE=auto."


def test_another_program_at_the_services_port_is_a_problem(setup: Setup) -> None:
    setup.service.says = {"hello": "world"}
    assert "not this service" in only(setup.check(), "service").sentence


def test_the_last_failed_request_of_a_project_is_shown(setup: Setup) -> None:
    trouble = {
        "error": "MediaUnavailable",
        "detail": "The picture is gone.",
        "at": "2026-01-01T00:00:00+00:00",
    }
    setup.service.says["problems"] = {"1": trouble}
    found = only(setup.check(), "last request")
    assert (found.state, found.project) == ("warning", 1)
    assert "The picture is gone." in found.sentence


def test_an_older_label_studio_is_a_warning(setup: Setup) -> None:
    setup.label_studio.release = "1.13.1"
    found = only(setup.check(), "Label Studio")
    assert found.state == "warning"
    assert "1.23" in found.remedy


def test_every_problem_comes_with_a_remedy(setup: Setup) -> None:
    setup.label_studio.blocks_backends = setup.label_studio.blocks_webhooks = True
    setup.label_studio.files.clear()
    setup.project.label_config = "<View"
    setup.service.says |= {"ready": False}
    checks = setup.check()
    setup.stop_service()
    checks += setup.check(model="nothing", redis_url="unix:///nowhere.sock")
    assert len(bad(checks)) >= 8
    assert all(check.remedy for check in bad(checks))


def test_what_only_a_thorough_look_finds_out_stands_in_those_that_only_read(setup: Setup) -> None:
    setup.label_studio.blocks_webhooks = True
    setup.label_studio.elsewhere = {setup.service.localhost}
    setup.label_studio.files.clear()
    given = Settings(model="demo", label_studio_url=setup.label_studio.url, label_studio_api_key=LEGACY)
    with LabelStudioClient.of(given) as client:
        with thorough(given, client) as look:
            found = all_checks.inside(given, client, look)
        setup.label_studio.writes.clear()
        setup.label_studio.seen.clear()
        again = all_checks.inside(given, client, Look(before=found))
    assert [check.name for check in again] == [check.name for check in found]
    assert all(one == other or one.name == "disk" for one, other in zip(again, found, strict=True)), (
        "how much of the disk is free, others change meanwhile"
    )
    assert {check.name for check in found if check.state != "ok"} == {"connection", "webhooks", "media"}
    assert setup.label_studio.writes == []
    assert setup.label_studio.requests("/data/") == []
