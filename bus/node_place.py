"""Where the running nodes of a site are found: their private folder, the names of their own files there, and the one that answers.

Owns: what a command must know to ask a node that runs. It loads nothing of the node itself, which would take longer than the answer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bus.site import LoadedSite

if TYPE_CHECKING:
    from bus.api.client import RemoteOperations

NODE_VARIABLE: Final = "RENKEI_NODE"
"""The environment variable that names this node in place of `site.yaml`."""
SOCKET: Final = "node.sock"


def private_folder(site: LoadedSite) -> Path:
    """The folder of the site that only the node's user may enter: lock, socket, secret."""
    folder = site.path(site.site.journal.file).parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def own_name(site: LoadedSite, node: str, file: str) -> str:
    """The name of a node's own file in the private folder (`node.sock`). Nodes that share a site by its database have one each; an
    SQLite journal has one node."""
    return file if site.site.journal.url is None else f"{node}.{file}"


def named_node(site: LoadedSite) -> str:
    """The node that commands mean: the one that the environment names, else that of `site.yaml`."""
    return os.environ.get(NODE_VARIABLE) or site.site.node


@contextmanager
def answering(site: LoadedSite) -> Iterator[RemoteOperations | None]:
    """The operations of the named node, when it runs and answers."""
    socket = private_folder(site) / own_name(site, named_node(site), SOCKET)
    if not socket.exists():
        yield None
        return
    from bus.api.client import RemoteOperations  # noqa: PLC0415 - only to talk to a running node

    with closing(RemoteOperations(socket)) as remote:
        yield remote if remote.answers() else None
