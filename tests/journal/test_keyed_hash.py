"""Keyed hashes: the same for ever, different per tenant, and useless without the secret."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import JournalError
from bus.security.keyed_hash import KeyedHash


@given(st.text(), st.text())
def test_texts_have_one_hash_each(one: str, other: str) -> None:
    hashes = KeyedHash(b"k" * 32)
    assert (hashes.of("332020", one) == hashes.of("332020", other)) == (one == other)


def test_a_person_of_two_tenants_has_two_hashes() -> None:
    hashes = KeyedHash(b"k" * 32)
    assert hashes.of("332020", "000000000012345") != hashes.of("372013", "000000000012345")
    assert hashes.seed("332020") != hashes.seed("372013")
    assert 0 <= hashes.seed("332020") < 2**64


def test_another_secret_gives_another_hash() -> None:
    assert KeyedHash(b"a" * 32).of("332020", "x") != KeyedHash(b"b" * 32).of("332020", "x")


def test_a_hash_stays_the_same_for_ever() -> None:
    """A change here would cut every stored hash from its person."""
    assert KeyedHash(bytes(range(32))).of("332020", "宛名000000000012345") == "86f42a4bfd406c8b036a8bef772ee3b2"
    assert KeyedHash(bytes(range(32))).seed("332020") == 179355567279249012


def test_the_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secret.key"
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: KeyedHash.open(path).of("332020", "x"), range(8)))
    assert len(found) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["secret.key"]


def test_the_secret_is_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    shown = repr(KeyedHash.open(path))
    assert shown == "KeyedHash(secret=***)"


@pytest.mark.parametrize(("mode", "secret"), [(0o644, b"k" * 32), (0o600, b"short"), (0o600, b"")])
def test_a_secret_that_others_read_or_that_is_cut_is_not_used(tmp_path: Path, mode: int, secret: bytes) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(secret)
    path.chmod(mode)
    with pytest.raises(JournalError) as caught:
        KeyedHash.open(path)
    assert caught.value.message_id == "RNK3032E"


def test_a_secret_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(JournalError) as caught:
        KeyedHash.open(tmp_path / "file" / "secret.key")
    assert caught.value.message_id == "RNK3031E"


@pytest.mark.parametrize("length", [0, 31, 65])
def test_a_secret_has_a_length(length: int) -> None:
    with pytest.raises(ValueError, match="32 to 64"):
        KeyedHash(b"k" * length)
