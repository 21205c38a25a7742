"""`renkei` with leases of a few seconds, so that a test need not wait a minute for those of a dead node."""

from __future__ import annotations

from unittest.mock import patch

from bus import delivery_dispatch, intake_owned
from bus.cli.app import main
from bus.events import dispatch, group_commit, sending

SECONDS = 3.0

if __name__ == "__main__":
    places = (delivery_dispatch, intake_owned, dispatch, group_commit, sending)
    for place in places:
        patch.object(place, "LEASE_SECONDS", SECONDS).start()
    patch.object(intake_owned, "LOOK_SECONDS", SECONDS / 6).start()
    main()
