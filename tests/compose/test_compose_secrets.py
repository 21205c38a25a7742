"""The secrets of `docker-compose.yml`: made by one command, for their owner alone, never shown, and never made anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compose.composition import composition, make_secrets


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, str]:
    said = make_secrets(tmp_path)
    return tmp_path / "secrets", said.stdout + said.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_every_secret_is_made_and_no_other(made: tuple[Path, str]) -> None:
    folder, _ = made
    assert set(contents(folder)) == {Path(secret["file"]).name for secret in composition()["secrets"].values()}


def test_only_the_owner_may_look(made: tuple[Path, str]) -> None:
    folder, _ = made
    assert folder.stat().st_mode & 0o777 == 0o700
    for file in folder.iterdir():
        # Prometheus comes as a user of its own; its copy is kept by the folder
        assert file.stat().st_mode & 0o777 == (0o644 if file.name == "prometheus_token" else 0o600), file.name


def test_secrets_are_long_different_and_never_shown(made: tuple[Path, str]) -> None:
    folder, said = made
    found = contents(folder)
    alike = {"prometheus_token": "metrics_token", "rabbitmq_password.conf": "rabbitmq_password"}
    own = {name: content for name, content in found.items() if name not in alike}
    assert len(set(own.values())) == len(own)
    for name, content in own.items():
        assert len(content) == 64, name
        assert bytes.fromhex(content.decode())
        assert content.decode() not in said
    assert found["prometheus_token"] == found["metrics_token"]
    assert found["rabbitmq_password.conf"] == b"default_pass = " + found["rabbitmq_password"] + b"\n"


def test_a_second_time_changes_nothing_and_makes_what_is_missing(made: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = made
    before = contents(folder)
    settings = (tmp_path / ".env").read_bytes()
    (folder / "grafana_password").unlink()
    assert make_secrets(tmp_path).stdout == "secrets/grafana_password\n"
    after = contents(folder)
    assert after.pop("grafana_password") != before.pop("grafana_password")
    assert after == before
    assert (tmp_path / ".env").read_bytes() == settings


def test_containers_run_as_the_owner_of_the_secrets(made: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = made
    (said,) = (tmp_path / ".env").read_text("ascii").splitlines()
    owner = (folder / "postgres_password").stat()
    assert said == f"RENKEI_USER={owner.st_uid}:{owner.st_gid}"
    assert owner.st_uid != 0, "nothing runs as root, also when root makes the secrets"


def test_two_installations_share_no_secret(made: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = made
    other = tmp_path / "other"
    other.mkdir()
    make_secrets(other)
    assert not set(contents(folder).values()) & set(contents(other / "secrets").values())
