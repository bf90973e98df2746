"""deploy/ as documented: the image holds the product, the proxy lets in what is for outside, nothing is set that nobody reads."""

from __future__ import annotations

import os
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.settings import Settings as PrefectSettings

from office.base.settings import Settings
from ops import environment
from ops.worker.settings import WorkerSettings
from webhooks.app import create_app

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
README = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
OURS, SERVER = COMPOSE["x-ours"], COMPOSE["x-prefect"]


def test_the_image_holds_every_package_and_file_that_installing_it_takes() -> None:
    recipe = COMPOSE["x-image"]["build"]["dockerfile_inline"]
    copied = {name for line in re.findall(r"^COPY (.+) \S+$", recipe, re.MULTILINE) for name in line.split()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {name.removesuffix("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    files = {project["project"]["readme"], *project["project"]["license-files"], "pyproject.toml", "constraints.txt"}
    assert copied == packages | files


def test_the_proxy_lets_in_what_the_outside_asks_for_and_nothing_else(installation: Settings) -> None:
    """A link to a ticket that leads to a 404 binds nobody's account."""
    said = re.search(r"@open path (.+)", COMPOSE["configs"]["caddyfile"]["content"])
    assert said is not None
    let_in = {
        path for path in create_app(installation).openapi()["paths"] if any(fnmatch(path, p) for p in said[1].split())
    }
    assert set(create_app(installation).openapi()["paths"]) - let_in == {"/healthz", "/readyz"}
    assert all(f"`{pattern}`" in README for pattern in ("/webhooks/*", "/cases/*", "/shops/*", "/accounts/*"))


def test_every_process_of_ours_has_the_same_settings_and_each_is_one_that_somebody_reads() -> None:
    """What only one of them knew (the desk's address) was missing in the messages that the others send."""
    for name, service in COMPOSE["services"].items():
        given = service.get("environment", {})
        if "DIANWU_CONFIG" in given:
            assert OURS.keys() <= given.keys(), name
    given = {name for service in COMPOSE["services"].values() for name in service.get("environment", {})}
    ours = {f"DIANWU_{field}".upper() for field in Settings.model_fields} | {"DIANWU_CONFIG"}
    ours |= {f"DIANWU_WORKER_{field}".upper() for field in WorkerSettings.__dataclass_fields__}
    own = {name for name in given if name.startswith("DIANWU_")} - {"DIANWU_OWNER_PASSWORD", "DIANWU_APP_PASSWORD"}
    assert own <= ours


def test_each_process_can_write_where_it_has_to_as_the_user_of_the_image() -> None:
    """Prefect shows no page when it cannot write them; a home of root's own is no home for anybody else."""
    user = re.search(r"useradd --uid (\d+) ", COMPOSE["x-image"]["build"]["dockerfile_inline"])
    assert user is not None and SERVER["PREFECT_UI_STATIC_DIRECTORY"].startswith("/tmp/")
    for name, service in COMPOSE["services"].items():
        if service.get("read_only"):
            assert service["tmpfs"] == ["/tmp", f"/home/dianwu:uid={user[1]},mode=0700"], name


def test_prefects_server_is_told_what_make_up_tells_it(monkeypatch: pytest.MonkeyPatch, installation: Settings) -> None:
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    up = environment.environment(installation)
    alike = [
        *environment.SPARED,
        *environment.BATCHED,
        "PREFECT_SERVER_ANALYTICS_ENABLED",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED",
    ]
    assert {name: SERVER[name] for name in alike} == {name: up[name] for name in alike}
    assert OURS["PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW"] == up["PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW"]


@pytest.mark.parametrize("name", sorted(n for n in {**OURS, **SERVER} if n.startswith("PREFECT_") and "REDIS" not in n))
def test_a_setting_of_prefects_is_one_that_prefect_knows(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A name that Prefect does not know would do nothing, and nobody would be told."""
    for known in [known for known in os.environ if known.startswith("PREFECT_")]:
        monkeypatch.delenv(known)
    before = PrefectSettings().to_environment_variables(include_secrets=True)
    monkeypatch.setenv(name, re.sub(r"\$\{.*?\}", "of-the-test", str({**OURS, **SERVER}[name])))
    assert PrefectSettings().to_environment_variables(include_secrets=True) != before or name in before


def test_what_compose_asks_of_its_env_file_is_what_the_page_shows() -> None:
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT))
    shown = re.search(r"```sh\n(POSTGRES_PASSWORD=.*?)```", README, re.DOTALL)
    assert shown is not None
    assert {line.partition("=")[0] for line in shown[1].splitlines()} == asked
