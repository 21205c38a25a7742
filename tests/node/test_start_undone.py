"""A node that cannot start leaves nothing running in the process that tried."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bus.broker.embedded import EmbeddedHints
from bus.errors import SiteInvalid
from bus.journal.journal import SqlJournal
from bus.node import running_node
from tests.api.api_site import write_site


def test_what_was_opened_before_the_trouble_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    write_site(tmp_path)
    for kind in (SqlJournal, EmbeddedHints):
        real = kind.close
        monkeypatch.setattr(kind, "close", lambda self, real=real: (closed.append(type(self).__name__), real(self)))
    with monkeypatch.context() as broken:
        broken.setattr("bus.node_parts.KeyedHash.open", _refused)
        with pytest.raises(SiteInvalid), running_node(tmp_path):
            pass
    assert closed == ["EmbeddedHints", "SqlJournal"]
    with running_node(tmp_path):
        """The lock was let go, too."""


def test_an_endpoint_that_is_refused_leaves_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_site(tmp_path)
    before = set(threading.enumerate())  # nodes of other tests may run in this process
    monkeypatch.setattr("bus.node_events.event_adapter", _refused)
    with pytest.raises(SiteInvalid), running_node(tmp_path):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "renkei-group-commit" and thread not in before]


def _refused(*_: object) -> None:
    raise SiteInvalid("RNK7003E", adapter="none")
