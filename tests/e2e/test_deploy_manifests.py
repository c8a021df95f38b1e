"""deploy/kubernetes and deploy/compose.yaml: they fit their schemas, and their numbers agree."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from easews.config import Config
from easews.config.model import Drain
from easews.testing import load_config

DEPLOY = Path(__file__).parents[2] / "deploy"
#: The oldest and the newest Kubernetes that the manifests are checked for. Before 1.30 the
#: `sleep` of preStop is not on by default.
VERSIONS = ("1.30", "1.37")
SLACK = 10
Manifest = dict[str, Any]


def manifests() -> Iterator[Manifest]:
    for file in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        yield from yaml.safe_load_all(file.read_text())


MANIFESTS = list(manifests())


def named(manifest: Manifest) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


def of(kind: str, name: str = "easews") -> Manifest:
    return {named(it): it for it in MANIFESTS}[f"{kind}-{name}"]


POD = of("Deployment")["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
PORTS = {it["name"]: it["containerPort"] for it in CONTAINER["ports"]}
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def validate(manifest: Manifest, version: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own: it opens resources in an old way
        kubernetes_validate = pytest.importorskip("kubernetes_validate")
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS, ids=named)
def test_a_manifest_fits_the_schema_of_kubernetes(
    kubernetes_schemas: None, manifest: Manifest, version: str
) -> None:
    validate(manifest, version)


def test_a_fault_in_a_manifest_is_noticed(kubernetes_schemas: None) -> None:
    faulty = json.loads(
        json.dumps(of("Deployment")).replace("terminationGrace", "terminationgrace")
    )
    with pytest.raises(Exception, match="terminationgracePeriodSeconds"):
        validate(faulty, VERSIONS[-1])


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The config of the ConfigMap, with its secret in a file of the test's."""
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    text = of("ConfigMap")["data"]["easews.yaml"]
    return load_config(text.replace("/run/secrets/easews/token", str(token)))


def whole(drain: Drain) -> float:
    seconds: float = drain.delay + drain.window + drain.deadline
    return seconds


def test_the_grace_period_is_long_enough_for_the_drain(config: Config) -> None:
    pre_stop = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["terminationGracePeriodSeconds"] == pre_stop + whole(config.gateway.drain) + SLACK
    assert (
        of("Deployment")["spec"]["progressDeadlineSeconds"] > POD["terminationGracePeriodSeconds"]
    )


def test_readiness_is_noticed_before_the_drain_begins(config: Config) -> None:
    probe = CONTAINER["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < config.gateway.drain.delay


def test_a_hang_is_noticed_and_a_busy_moment_is_none() -> None:
    probe = CONTAINER["livenessProbe"]
    assert 30 <= probe["periodSeconds"] * probe["failureThreshold"] <= 60
    assert "readyz" not in probe["httpGet"]["path"]  # a pod that drains must not be killed


def test_probes_ask_the_admin_listener_and_the_service_leads_to_the_server(
    config: Config,
) -> None:
    assert config.gateway.admin is not None
    assert PORTS["admin"] == config.gateway.admin.port
    assert PORTS["web"] == config.servers[0].port
    assert {CONTAINER[it]["httpGet"]["port"] for it in PROBES} == {"admin"}
    for service in ("easews", "easews-admin"):
        (port,) = of("Service", service)["spec"]["ports"]
        assert port["targetPort"] in PORTS


def test_every_part_means_the_same_pods() -> None:
    labels = of("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        of("Deployment")["spec"]["selector"]["matchLabels"],
        of("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        *(of("Service", name)["spec"]["selector"] for name in ("easews", "easews-admin")),
        *(it["labelSelector"]["matchLabels"] for it in POD["topologySpreadConstraints"]),
    ]
    assert all(it == labels for it in selectors)
    assert of("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "easews"


def test_the_volumes_are_there_and_the_config_is_where_the_command_reads_it() -> None:
    mounted = {it["name"]: it["mountPath"] for it in CONTAINER["volumeMounts"]}
    assert mounted.keys() == {it["name"] for it in POD["volumes"]}
    assert CONTAINER["args"][-1] == f"{mounted['config']}/easews.yaml"
    assert "easews.yaml" in of("ConfigMap")["data"]
    assert f"tokenFile: {mounted['admin']}/token" in of("ConfigMap")["data"]["easews.yaml"]


def test_the_pod_meets_the_restricted_standard() -> None:
    pod, container = POD["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"]
    assert f"USER {pod['runAsUser']}:" in (DEPLOY / "Containerfile").read_text()
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert container["readOnlyRootFilesystem"]
    assert {"configMap", "secret"} == {kind for it in POD["volumes"] for kind in it} - {"name"}


def test_a_pod_has_room_for_the_sessions_at_which_others_are_added(config: Config) -> None:
    (metric,) = of("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == "easews_sessions_open"
    per_pod = int(metric["pods"]["target"]["averageValue"])
    assert 2 * per_pod <= config.servers[0].max_connections


COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Manifest] = COMPOSE["services"]


def test_the_compose_file_fits_its_schema(compose_schema: Path) -> None:
    schema = jsonschema.Draft201909Validator(json.loads(compose_schema.read_text()))
    schema.validate(COMPOSE)
    assert not schema.is_valid({**COMPOSE, "services": {"easews": {"imagine": "easews"}}})


def test_compose_gives_easews_the_time_for_its_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EASEWS_TOKEN", "0123456789abcdef")
    drain = load_config((DEPLOY / "compose" / "easews.yaml").read_text()).gateway.drain
    assert SERVICES["easews"]["stop_grace_period"] == f"{whole(drain) + 5:g}s"


def test_what_compose_mounts_is_there() -> None:
    mounts = [it for service in SERVICES.values() for it in service.get("volumes", ())]
    paths = [it.split(":")[0] for it in mounts if it.startswith(".")]
    assert len(paths) > 5
    assert [path for path in paths if not (DEPLOY / path).exists()] == []


def images() -> Iterator[str]:
    yield CONTAINER["image"]
    yield from (service["image"] for service in SERVICES.values())


@pytest.mark.parametrize("image", sorted(set(images())))
def test_images_have_a_name_and_a_version(image: str) -> None:
    """No registry is named, and nothing moves without notice."""
    assert re.fullmatch(r"([a-z-]+/)?[a-z-]+:v?\d+\.\d+\.\d+", image)


def test_prometheus_asks_the_admin_listener_of_easews() -> None:
    settings = yaml.safe_load((DEPLOY / "compose" / "prometheus.yaml").read_text())
    (job,) = settings["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["easews:9901"]}]
