"""What lies in deploy/, held against the schemas of those who will read it: Kubernetes, the Compose specification, systemd. `make test-deploy` sets everything up and runs it.

That the commands in these files are commands of Wasmill, and the pipelines are pipelines, is tested by tests/e2e/deploy.rs.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").rglob("*.yaml"))
UNITS = sorted((DEPLOY / "systemd").iterdir())
COMPOSE = [ROOT / "compose.yaml", DEPLOY / "compose/compose.yaml"]
# The oldest release that the project of Kubernetes still maintains, and the newest that there are schemas for.
VERSIONS = ["1.34", kubernetes_validate.latest_version()]
# Exit statuses that a person has to act on.
NOT_RETRIED = [2, 3, 4, 6]


def load(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def pod(manifest: dict) -> dict:
    spec = manifest["spec"]
    return (spec["jobTemplate"]["spec"] if manifest["kind"] == "CronJob" else spec)["template"]["spec"]


def pods() -> list[Path]:
    found = [path for path in MANIFESTS if load(path)["kind"] in ("Deployment", "CronJob")]
    assert len(found) == 2, found
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", MANIFESTS, ids=name)
def test_manifests_are_what_kubernetes_takes(path: Path, version: str) -> None:
    kubernetes_validate.validate(load(path), version, strict=True)


def test_a_manifest_with_a_mistake_is_refused() -> None:
    manifest = load(DEPLOY / "kubernetes/stream/deployment.yaml")
    manifest["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("path", pods(), ids=name)
def test_pods_may_do_what_they_need_and_no_more(path: Path) -> None:
    spec = pod(load(path))
    context, (container,) = spec["securityContext"], spec["containers"]
    assert context["runAsNonRoot"] and context["runAsUser"] > 0 and context["seccompProfile"]["type"] == "RuntimeDefault"
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert not spec["automountServiceAccountToken"]
    assert container["resources"]["limits"]["memory"]
    # Everything that is mounted exists, and everything that is written is mounted.
    volumes, mounts = {volume["name"] for volume in spec["volumes"]}, container["volumeMounts"]
    assert {mount["name"] for mount in mounts} == volumes
    writable = [mount["mountPath"] for mount in mounts if not mount.get("readOnly")]
    written = [variable["value"] for variable in container["env"]] + [word for word in container["args"] if word.startswith("/run/")]
    assert written and all(any(path.startswith(folder) for folder in writable) for path in written), written
    assert container["args"][1].startswith("/etc/wasmill/")


def test_the_stream_is_probed_where_it_writes_and_the_batch_is_retried_by_who_has_to_act() -> None:
    container = pod(load(DEPLOY / "kubernetes/stream/deployment.yaml"))["containers"][0]
    written = container["args"][container["args"].index("--heartbeat") + 1]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["exec"]["command"][:3] == ["wasmill", "health", written], probe
    job = load(DEPLOY / "kubernetes/batch/cronjob.yaml")["spec"]["jobTemplate"]["spec"]
    (rule,) = [rule for rule in job["podFailurePolicy"]["rules"] if rule["action"] == "FailJob"]
    assert rule["onExitCodes"]["values"] == NOT_RETRIED and rule["onExitCodes"]["containerName"] == "wasmill"


@pytest.mark.parametrize("path", COMPOSE, ids=name)
def test_compose_files_follow_the_specification(path: Path) -> None:
    schema = json.loads(Path(os.environ["COMPOSE_SCHEMA"]).read_text())
    jsonschema.Draft7Validator(schema).validate(load(path))


def test_containers_may_do_what_they_need_and_no_more() -> None:
    for service in load(DEPLOY / "compose/compose.yaml")["services"].values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"]
        assert service["user"].split(":")[0] != "0" and "ports" not in service


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units as systemd finds them, with a program that is there."""
    folder = tmp_path_factory.mktemp("units")
    for unit in UNITS:
        (folder / unit.name).write_text(unit.read_text().replace("/usr/local/bin/wasmill", "/bin/true"))
    return folder


def systemd(*arguments: str, units: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:", "LC_ALL": "C"}
    return subprocess.run(["systemd-analyze", *arguments], env=environment, capture_output=True, text=True, timeout=120)


def instance(unit: Path) -> str:
    return unit.name.replace("@.", "@orders.")


@pytest.mark.parametrize("unit", UNITS, ids=name)
def test_units_are_what_systemd_takes(unit: Path, units: Path) -> None:
    (units / instance(unit)).write_text((units / unit.name).read_text())
    ended = systemd("verify", "--man=no", str(units / instance(unit)), units=units)
    # Units of this machine may have faults of their own.
    ours = [line for line in ended.stderr.splitlines() if "wasmill" in line]
    assert not ours, ended.stderr


@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.suffix == ".service"], ids=name)
def test_services_are_hardened(unit: Path, units: Path) -> None:
    ended = systemd("security", "--offline=yes", "--threshold=25", "--no-pager", str(units / unit.name), units=units)
    level = re.search(r"Overall exposure level for .*: ([0-9.]+)", ended.stdout)
    assert level, ended.stdout + ended.stderr
    assert ended.returncode == 0 and float(level[1]) <= 2.5, ended.stdout


@pytest.mark.parametrize("unit", [unit for unit in UNITS if "schedule" not in unit.name and unit.suffix == ".service"], ids=name)
def test_services_start_again_by_who_has_to_act(unit: Path) -> None:
    (line,) = [line for line in unit.read_text().splitlines() if line.startswith("RestartPreventExitStatus=")]
    assert [int(status) for status in line.split("=")[1].split()] == NOT_RETRIED
