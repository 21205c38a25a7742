"""Secrets of one line in files, and which hosts are this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.loopback import is_loopback
from bus.secret_files import read_secret


@pytest.mark.parametrize(
    ("stands", "secret"), [("秘密", "秘密"), ("pass\n", "pass"), ("pass\r\n", "pass"), (" pass word \n", " pass word "), ("", "")]
)
def test_a_secret_is_the_line_without_its_end(tmp_path: Path, stands: str, secret: str) -> None:
    (tmp_path / "secret").write_bytes(stands.encode())
    assert read_secret(tmp_path / "secret") == secret


def test_what_is_no_secret_is_told_without_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xffpass")
    with pytest.raises(OSError, match="no text in UTF-8") as told:
        read_secret(tmp_path / "secret")
    assert "pass" not in str(told.value)
    assert told.value.__suppress_context__
    with pytest.raises(FileNotFoundError):
        read_secret(tmp_path / "nowhere")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost"])
def test_hosts_that_are_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "::", "node1", "localhost.example", ""])
def test_hosts_that_may_be_others(host: str) -> None:
    assert not is_loopback(host)
