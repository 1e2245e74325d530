from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from label_studio_sam2 import doctor
from label_studio_sam2.checks.check import Check
from label_studio_sam2.labelstudio.templates import TEMPLATES
from label_studio_sam2.settings import Settings

from tests.label_studio_server import Project, ProjectServer
from tests.labelstudio.servers import LEGACY, PERSONAL, serving
from tests.redis_server import running as running_redis
from tests.running_service import RunningService

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
        return doctor.run(Settings(**(defaults | settings)))


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
    assert found.remedy == "Check LABEL_STUDIO_URL."


def test_a_missing_label_studio_url_is_named(setup: Setup) -> None:
    (found,) = bad(setup.check(label_studio_url=""))
    assert "LABEL_STUDIO_URL isn't set" in found.sentence


def test_label_studio_at_a_localhost_that_is_our_own_container_gets_the_containers_way_out(
    setup: Setup,
) -> None:
    setup.label_studio.shutdown()
    setup.label_studio.server_close()
    (found,) = bad(setup.check(label_studio_url=setup.label_studio.url.replace("127.0.0.1", "localhost")))
    assert "Inside a container localhost is the container itself" in found.sentence
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
    (found,) = bad(doctor.run(settings, project=1))
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
    (found,) = bad(setup.check(model=model))
    assert found.name == "checkpoint"
    assert model in found.sentence
    assert remedy in found.remedy


def test_a_damaged_checkpoint_is_a_problem(setup: Setup) -> None:
    (setup.folder / "sam2.1_hiera_tiny.pt").write_bytes(b"half a download")
    (found,) = bad(setup.check(model="sam2.1_hiera_tiny"))
    assert found.name == "checkpoint"
    assert "not the published" in found.sentence


def test_a_redis_that_is_down_is_a_problem_and_one_that_answers_is_not(setup: Setup) -> None:
    with running_redis() as server:
        assert only(setup.check(redis_url=server.url), "redis").state == "ok"
        server.kill()
        (found,) = bad(setup.check(redis_url=server.url))
    assert found.name == "redis"
    assert "REDIS_URL" in found.remedy


def test_a_service_that_is_not_running_is_a_problem(setup: Setup) -> None:
    setup.service.shutdown()
    setup.service.server_close()
    found = only(setup.check(), "service")
    assert found.state == "problem"
    assert "label-studio-sam2 serve" in found.remedy


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
    checks = setup.check(model="nothing", redis_url="unix:///nowhere.sock")
    assert len(bad(checks)) >= 4
    assert all(check.remedy for check in bad(checks))
