"""The compose files and the Dockerfile against the service that they deploy. Needs docker-compose, but no engine."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from shutil import which
from tempfile import NamedTemporaryFile
from threading import Thread
from typing import Any

import httpx
import orjson
import pytest
import yaml
from label_studio_sam2.commands.serve import GRACE_SECONDS
from label_studio_sam2.engine.checkpoints import CHECKPOINTS
from label_studio_sam2.errors import SettingError
from label_studio_sam2.outgoing.proxies import Proxies
from label_studio_sam2.settings import Settings

from tests.fakes.redis_server import running

ROOT = Path(__file__).parent.parent
GPU = ("--file", "docker-compose.gpu.yml")
POSTGRES = ("--file", "docker-compose.postgres.yml")
SECRETS = ("--file", "docker-compose.secrets.yml")
PROFILE = ("--profile", "label-studio")
SETTINGS = {name.upper() for name in Settings.model_fields}
OF_THE_IMAGE = {"MODEL_CACHE", "HOST", "PORT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
ITS_OWN = {"NO_PROXY", "SSL_CERT_FILE"}
"""Of which the container has a value that holds the admin's."""


@cache
def compose(*flags: str, **environment: str) -> dict[str, Any]:
    """What docker-compose makes of the files in an environment that holds nothing else."""
    program = which("docker-compose")
    assert program, "These tests need docker-compose: apt-get install docker-compose"
    with NamedTemporaryFile() as nothing:  # in place of a developer's own .env
        done = subprocess.run(
            [program, "--env-file", nothing.name, "--file", "docker-compose.yml", *flags, "config"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = yaml.safe_load(done.stdout)
    return content


def services(*flags: str, **environment: str) -> dict[str, Any]:
    content: dict[str, Any] = compose(*flags, **environment)["services"]
    return content


def seconds(duration: str) -> int:
    match = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration)
    assert match
    return int(match[1] or 0) * 60 + int(match[2] or 0)


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined, comments left out."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines if line]


def last_stage() -> list[tuple[str, str]]:
    every = instructions()
    start = max(index for index, (name, _) in enumerate(every) if name == "FROM")
    return every[start:]


@pytest.mark.parametrize(
    "flags", [(), GPU, PROFILE, (*GPU, *POSTGRES, *SECRETS, *PROFILE)], ids=["plain", "gpu", "profile", "all"]
)
def test_docker_compose_accepts_the_files(flags: tuple[str, ...]) -> None:
    assert {"backend", "redis"} <= services(*flags, POSTGRES_PASSWORD="p").keys()


def test_every_service_is_bounded_in_memory_and_log_and_has_a_health_check() -> None:
    for name, service in services(*POSTGRES, *PROFILE, POSTGRES_PASSWORD="p").items():
        assert re.fullmatch(r"\d+g", str(service["mem_limit"])), name
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "healthcheck" in service or name == "backend", name  # the backend's is its image's


def test_redis_may_take_more_memory_than_it_keeps_embeddings_in() -> None:
    redis = services()["redis"]
    assert int(redis["mem_limit"].removesuffix("g")) > int(redis["command"][2].removesuffix("gb"))


def test_ports_are_open_to_this_machine_only_until_the_admin_says_otherwise() -> None:
    for given, expected in (({}, "127.0.0.1"), ({"LISTEN": "0.0.0.0"}, "0.0.0.0")):
        for service in services(*POSTGRES, *PROFILE, POSTGRES_PASSWORD="p", **given).values():
            assert all(port.startswith(f"{expected}:") for port in ports(service))
    assert not any(ports(services()["redis"]))


def test_several_replicas_get_a_port_each_and_one_redis_and_model_cache() -> None:
    backend = services(PORT="9090-9092")["backend"]
    (port,) = ports(backend)
    assert port.removesuffix("/tcp") in {"127.0.0.1:9090-9092:9090", "127.0.0.1:9090-9092"}
    assert "container_name" not in backend
    assert backend["environment"]["REDIS_URL"] == services()["backend"]["environment"]["REDIS_URL"]
    assert any(volume.startswith("model_cache:") for volume in backend["volumes"])


def test_redis_is_reached_by_the_backend_alone_and_reaches_nothing_itself() -> None:
    content = compose(*PROFILE)
    on = {name: set(service.get("networks", ["default"])) for name, service in content["services"].items()}
    assert on == {"backend": {"default", "cache"}, "redis": {"cache"}, "label-studio": {"default"}}
    assert content["networks"]["cache"]["internal"] is True


def test_label_studio_on_postgres_is_told_of_the_postgres_that_comes_with_it() -> None:
    both = services(*POSTGRES, *PROFILE, POSTGRES_PASSWORD="p")
    studio, database = both["label-studio"], both["postgres"]["environment"]
    assert studio["depends_on"].keys() == {"postgres"}
    told = {name: studio["environment"][f"POSTGRE_{name}"] for name in ("HOST", "USER", "NAME", "PASSWORD")}
    expected = {"HOST": "postgres", "USER": database["POSTGRES_USER"], "NAME": database["POSTGRES_DB"]}
    assert told == expected | {"PASSWORD": "p"} == expected | {"PASSWORD": database["POSTGRES_PASSWORD"]}


def test_secrets_are_read_from_the_files_that_are_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "label_studio_api_key").write_text("a key\n")
    (tmp_path / "basic_auth_pass").write_text("pass word\n")
    content = compose(*SECRETS, SECRETS=str(tmp_path), LABEL_STUDIO_API_KEY="another")
    mounted = {f"/run/secrets/{name}": secret["file"] for name, secret in content["secrets"].items()}
    for name, value in content["services"]["backend"]["environment"].items():
        monkeypatch.setenv(name, mounted.get(value, value or ""))
    settings = Settings()
    assert settings.label_studio_api_key.get_secret_value() == "a key"
    assert settings.basic_auth_pass.get_secret_value() == "pass word"


def test_a_secrets_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASIC_AUTH_PASS_FILE", "/run/secrets/gone")
    with pytest.raises(
        SettingError, match="BASIC_AUTH_PASS_FILE names /run/secrets/gone, which can't be read"
    ):
        Settings()


def ports(service: dict[str, Any]) -> list[str]:
    """`ADDRESS:PORT` on this machine for each that is published."""
    return [
        f"{one['host_ip']}:{one['published']}" if isinstance(one, dict) else one
        for one in service.get("ports", ())
    ]


def test_the_example_of_an_env_file_names_all_that_the_compose_files_read() -> None:
    read = set[str]()
    for file in ROOT.glob("docker-compose*.yml"):
        text = re.sub(r" +#.*", "", file.read_text())
        read |= set(re.findall(r"\$\{(\w+)", text)) | set(
            re.findall(r"^ +([A-Z][A-Z0-9_]+):$", text, re.MULTILINE)
        )
    named = re.findall(r"^#?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(named) == len(set(named))
    assert set(named) == read


def test_new_env_writes_secrets_of_its_own_and_touches_none_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    for name in (".env.example", "deploy/new-env"):
        shutil.copy(ROOT / name, tmp_path / name)
    command = [tmp_path / "deploy/new-env"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    written = (tmp_path / ".env").read_text()
    given = dict(re.findall(r"^([A-Z_]+)=(.+)$", written, re.MULTILINE))
    assert re.fullmatch(r"[0-9a-f]{40}", given["LABEL_STUDIO_API_KEY"])
    assert (
        len({given[name] for name in ("LABEL_STUDIO_PASSWORD", "LABEL_STUDIO_API_KEY", "POSTGRES_PASSWORD")})
        == 3
    )
    assert given["LABEL_STUDIO_PASSWORD"] in said
    assert given["LABEL_STUDIO_API_KEY"] not in said
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    assert (tmp_path / ".env").read_text() == written


def test_every_setting_reaches_the_backend_and_nothing_that_is_none() -> None:
    assert services()["backend"]["environment"].keys() | OF_THE_IMAGE == SETTINGS


def test_a_setting_in_the_environment_reaches_the_backend() -> None:
    given = {name: f"given {name}" for name in SETTINGS - OF_THE_IMAGE - ITS_OWN}
    reached = services(**given)["backend"]["environment"]
    assert {name: value for name, value in reached.items() if name not in ITS_OWN} == given


def test_services_of_the_same_file_are_not_asked_of_a_proxy() -> None:
    environment = services(*PROFILE, NO_PROXY=".company.example", HTTP_PROXY="http://proxy:3128")["backend"][
        "environment"
    ]
    proxies = Proxies.of(environment["HTTP_PROXY"], "", environment["NO_PROXY"].split(","))
    direct = ["http://label-studio:8080", "http://host.docker.internal:8080", "http://minio.company.example"]
    assert [proxies.way_to(httpx.URL(url)) for url in direct] == [None] * 3
    assert proxies.way_to(httpx.URL("http://media.example.com"))


def test_a_private_authoritys_certificates_are_mounted_where_the_backend_looks() -> None:
    for given, source in (({}, "/dev/null"), ({"SSL_CERT_FILE": "/etc/company.pem"}, "/etc/company.pem")):
        backend = services(**given)["backend"]
        assert f"{source}:{backend['environment']['SSL_CERT_FILE']}:ro" in backend["volumes"]


def test_the_backends_environment_makes_valid_settings() -> None:
    given = {name.lower(): value for name, value in services()["backend"]["environment"].items() if value}
    settings = Settings.model_validate(given)
    assert settings.model == "sam2.1_hiera_small"
    assert settings.redis_url == "redis://redis:6379/0"
    assert settings.shown_label_studio == "http://localhost:8080"  # as this machine's browser knows it


def test_the_label_studio_that_the_backend_is_told_of_is_the_profiles() -> None:
    both = services(*PROFILE)
    published = {port.rpartition(":")[2].removesuffix("/tcp") for port in both["label-studio"]["ports"]}
    assert both["backend"]["environment"]["LABEL_STUDIO_URL"] in {
        f"http://label-studio:{port}" for port in published
    }


def test_label_studio_lets_backends_on_private_networks_in() -> None:
    environment = services(*PROFILE)["label-studio"]["environment"]
    assert environment["ML_BLOCK_LOCAL_IP"] == environment["SSRF_PROTECTION_ENABLED"] == "false"


def test_label_studio_comes_only_with_its_profile() -> None:
    assert services()["label-studio"]["profiles"] == ["label-studio"]
    assert not any("profiles" in services()[name] for name in ("backend", "redis"))
    assert services()["backend"]["depends_on"].keys() == {"redis"}


def test_redis_is_bounded_evicts_and_writes_nothing_to_disk() -> None:
    program, *options = services(REDIS_MAXMEMORY="64mb")["redis"]["command"]
    assert program == "redis-server"
    with running(*options) as server, server.client() as client:
        assert client.config_get("maxmemory", "maxmemory-policy", "save", "appendonly") == {
            "maxmemory": str(64 << 20),
            "maxmemory-policy": "allkeys-lru",
            "save": "",
            "appendonly": "no",
        }


def test_the_model_cache_is_a_volume_or_a_folder_of_the_admins_choice() -> None:
    volume, _ = services()["backend"]["volumes"]
    assert volume == "model_cache:/model_cache:rw"
    assert "model_cache" in compose()["volumes"]
    folder, _ = services(MODEL_CACHE="./model_cache")["backend"]["volumes"]
    assert folder == f"{ROOT}/model_cache:/model_cache:rw"


def test_a_stopped_backend_has_the_time_to_finish_a_running_answer() -> None:
    assert seconds(services()["backend"]["stop_grace_period"]) > GRACE_SECONDS


def test_the_gpu_override_asks_for_a_gpu_and_insists_on_it() -> None:
    backend = services(*GPU)["backend"]
    (device,) = backend["deploy"]["resources"]["reservations"]["devices"]
    assert "gpu" in device["capabilities"]
    assert backend["environment"]["DEVICE"] == "cuda"


def test_no_image_floats() -> None:
    images = [service["image"] for service in services(*PROFILE).values() if "image" in service]
    default = re.search(r"\$\{BASE_IMAGE:-(.+?)\}", dict(instructions()[::-1])["FROM"])
    assert default
    for image in [*images, default[1]]:
        assert re.search(r":\d+\.\d+", image), image


def test_the_service_runs_as_a_numbered_user_that_owns_the_model_cache() -> None:
    stage = dict(last_stage())
    user = int(stage["USER"].split(":")[0])
    assert user > 0
    created = re.search(r"useradd .*--uid (\d+) .* (\w+)\s+&& install .*--owner=(\w+) .*(/\S+)", stage["RUN"])
    assert created
    assert int(created[1]) == user
    assert created[2] == created[3]
    assert created[4] == stage["VOLUME"] == "/model_cache"


def test_the_image_pins_what_the_settings_leave_to_it() -> None:
    environment = dict(pair.split("=", 1) for pair in shlex.split(dict(last_stage())["ENV"]))
    assert environment["MODEL_CACHE"] == "/model_cache"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert dict(last_stage())["EXPOSE"] == environment["PORT"]
    (port,) = services()["backend"]["ports"]
    assert port.rpartition(":")[2].removesuffix("/tcp") == environment["PORT"]


def test_signals_reach_the_service_itself() -> None:
    stage = dict(last_stage())
    assert orjson.loads(stage["ENTRYPOINT"]) + orjson.loads(stage["CMD"]) == ["label-studio-sam2", "serve"]


def test_all_that_the_dockerfile_copies_is_in_the_build_context() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        value.split()[:-1] for name, value in instructions() if name == "COPY" and "--from" not in value
    ]
    for path in (path for paths in copied for path in paths):
        assert (ROOT / path).exists(), path
        assert "!" + path.split("/")[0] in ignored
        assert path not in ignored


def test_dependencies_come_before_the_source() -> None:
    """So that a change of the source installs nothing anew: neither torch's stage nor its layer knows the source."""
    stage = ""
    for name, value in instructions():
        if name == "FROM":
            stage = value.rpartition(" AS ")[2]
        if name == "COPY" and "backend" in value.split()[:-1]:
            assert stage == "package"
    copies = [value for name, value in last_stage() if name == "COPY"]
    assert ["dependencies" in copy for copy in copies] == [True, False]


class Ready(BaseHTTPRequestHandler):
    """Answers /ready with the server's `status`, and nothing else."""

    def do_GET(self) -> None:
        self.send_response(self.server.status if self.path == "/ready" else 404)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        pass


@pytest.fixture
def service() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def healthcheck(port: int) -> int:
    flags, command = dict(last_stage())["HEALTHCHECK"].split("CMD ")
    assert seconds(dict(part.split("=") for part in flags.split())["--start-period"]) >= 300
    program, *arguments = orjson.loads(command)
    assert program == "python"
    proxies = {"http_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, *arguments], env={"PORT": str(port), **proxies}, capture_output=True, check=False
    )
    return done.returncode


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_container_is_healthy_exactly_while_the_service_is_ready(
    service: HTTPServer, status: int, healthy: bool
) -> None:
    service.status = status  # type: ignore[attr-defined]
    assert (healthcheck(service.server_port) == 0) is healthy


def test_the_container_is_unhealthy_when_nothing_answers(service: HTTPServer) -> None:
    port = service.server_port
    service.shutdown()
    service.server_close()
    assert healthcheck(port) != 0


def test_the_model_caches_page_lists_the_checkpoint_table() -> None:
    page = (ROOT / "model_cache" / "README.md").read_text()
    rows = re.findall(r"^\| `(\S+)` \| `(\S+)` \| (\d+) \| `(\w{64})` \|$", page, flags=re.MULTILINE)
    assert rows == [(one.name, one.file, str(one.size), one.sha256) for one in CHECKPOINTS.values()]
