"""The dashboard and the alerts in deploy/monitoring: of metrics that the service has, by Prometheus' own tool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from label_studio_sam2.server.openapi.examples import PREDICT

MONITORING = Path(__file__).parents[1] / "deploy" / "monitoring"
RULES = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
PANELS = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
MATCHER = re.compile(r'(\w+)\s*(=~|=)\s*"([^"]*)"')
OF_PROMETHEUS = {"job", "instance"}
OF_A_GPU = {"sam2_device_memory_bytes"}


def promtool(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    assert program, "These tests need promtool: `make system` installs it on Debian."
    return subprocess.run([program, *arguments], input=text, capture_output=True, text=True, check=False)


@pytest.fixture
def metrics(client: httpx.Client) -> str:
    """After a click."""
    assert client.post("/predict", json=PREDICT).is_success
    return client.get("/metrics").text


def series(metrics: str) -> list[dict[str, str]]:
    """The labels of every series, its name as `__name__`."""
    found = re.findall(r"^(\w+)(?:{(.*)})? ", metrics, re.MULTILINE)
    return [{"__name__": name, **dict(re.findall(r'(\w+)="([^"]*)"', labels))} for name, labels in found]


def test_prometheus_reads_the_metrics(metrics: str) -> None:
    said = promtool("check", "metrics", text=metrics)
    complaints = [line for line in said.stderr.splitlines() if "_created" not in line]
    assert complaints == []


@pytest.mark.parametrize("expression", [*(rule["expr"] for rule in RULES), *EXPRESSIONS])
def test_every_series_that_is_asked_for_is_there_after_a_click(expression: str, metrics: str) -> None:
    asked = re.findall(r"\b(sam2_\w+|up)(?:{([^}]*)})?", expression)
    assert asked
    for name, matchers in asked:
        wanted = [
            one for one in MATCHER.findall(matchers) if one[0] not in OF_PROMETHEUS and one[0] != "status"
        ]
        named = [labels for labels in series(metrics) if labels["__name__"] == name]
        assert name == "up" or named or name in OF_A_GPU, name
        for label, how, value in wanted:
            pattern = value if how == "=~" else re.escape(value)
            assert any(re.fullmatch(pattern, labels.get(label, "")) for labels in named), (name, label, value)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["annotations"].keys() == {"summary", "remedy"}
    assert rule["labels"]["severity"] in {"page", "ticket"}


def test_prometheus_takes_its_configuration_with_the_alerts() -> None:
    said = promtool("check", "config", MONITORING / "prometheus.yml")
    assert said.returncode == 0, said.stderr
    assert f"{len(RULES)} rules found" in said.stdout + said.stderr


def test_the_dashboards_expressions_are_prometheus_own_language(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(EXPRESSIONS)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    said = promtool("check", "rules", path)
    assert said.returncode == 0, said.stdout + said.stderr


BAD = {
    "Sam2Down": {'up{job="sam2", instance="a"}': "0x120"},
    "Sam2NotReady": {'sam2_ready{instance="a"}': "0x120"},
    "Sam2PredictionsFail": {
        'sam2_requests_total{instance="a", route="/predict", status="200"}': "0+90x120",
        'sam2_requests_total{instance="a", route="/predict", status="502"}': "0+10x120",
    },
    "Sam2ClicksSlow": {
        'sam2_stage_seconds_bucket{instance="a", stage="decode", le="1"}': "0+50x120",
        'sam2_stage_seconds_bucket{instance="a", stage="decode", le="2.5"}': "0+100x120",
        'sam2_stage_seconds_bucket{instance="a", stage="decode", le="+Inf"}': "0+100x120",
    },
    "Sam2ClicksWait": {'sam2_queue{instance="a", kind="click_decode"}': "20x120"},
    "Sam2CacheTooSmall": {'sam2_embedding_cache{instance="a", kind="evictions"}': "0+20x240"},
}
GOOD = {
    'up{job="sam2", instance="a"}': "1x240",
    'sam2_ready{instance="a"}': "1x240",
    'sam2_requests_total{instance="a", route="/predict", status="200"}': "0+99x240",
    'sam2_requests_total{instance="a", route="/predict", status="502"}': "0+1x240",
    'sam2_stage_seconds_bucket{instance="a", stage="decode", le="1"}': "0+100x240",
    'sam2_stage_seconds_bucket{instance="a", stage="decode", le="+Inf"}': "0+100x240",
    'sam2_queue{instance="a", kind="click_decode"}': "2x240",
    'sam2_embedding_cache{instance="a", kind="evictions"}': "0+1x240",
}


def test_each_alert_fires_in_its_own_trouble_and_none_without(tmp_path: Path) -> None:
    assert BAD.keys() == {rule["alert"] for rule in RULES}
    cases = [
        (series, "115m" if name != "Sam2CacheTooSmall" else "200m", True, name)
        for name, series in BAD.items()
    ]
    cases += [(GOOD, "200m", False, name) for name in BAD]
    tests = [
        {
            "interval": "1m",
            "name": f"{name} {fires}",
            "input_series": [{"series": one, "values": values} for one, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})',
                    "eval_time": at,
                    "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
                }
            ],
        }
        for series, at, fires, name in cases
    ]
    path = tmp_path / "test.yml"
    content = {"rule_files": [str(MONITORING / "alerts.yml")], "evaluation_interval": "1m", "tests": tests}
    path.write_text(yaml.safe_dump(content))
    said = promtool("test", "rules", path)
    assert said.returncode == 0, said.stdout + said.stderr
