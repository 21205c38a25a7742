"""The `files` adapter as the node finds it, through the entry point `renkei.adapters`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from adapters.files.errors import telling
from adapters.files.settings import Direction, SinkSettings, SourceSettings, make_own, place_of
from adapters.files.sink import FilesSink
from adapters.files.source import FilesSource
from bus.errors import SiteInvalid


class FilesAdapter:
    """Makes sources and sinks from an endpoint's settings. `folder` is the folder of `site.yaml`."""

    name: Final = "files"

    def settings_model(self, direction: Direction) -> type[SourceSettings] | type[SinkSettings]:
        """The pydantic model of `settings:` for this direction."""
        return SourceSettings if direction == "source" else SinkSettings

    def source(self, settings: Mapping[str, object], endpoint: str, tenant: str, folder: Path) -> FilesSource:
        """A source of this endpoint. A folder that cannot be made is the source's trouble, told when it is asked for arrivals.

        Raises:
            SiteInvalid: the settings are not a source's.
        """
        try:
            checked = SourceSettings.model_validate(settings)
        except ValidationError as error:
            raise SiteInvalid("RNK5009E", endpoint=endpoint, reason=_reason(error)) from error
        place = place_of(checked.folder, folder)
        with contextlib.suppress(OSError):
            make_own(checked.folder, place)
        return FilesSource(checked, endpoint=endpoint, tenant=tenant, folder=place)

    def sink(self, settings: Mapping[str, object], endpoint: str, tenant: str, folder: Path) -> FilesSink:  # noqa: ARG002 - the adapters' common form
        """A sink of this endpoint.

        Raises:
            SiteInvalid: the settings are not a sink's. Transient, Permanent: a relative folder could not be made.
        """
        try:
            checked = SinkSettings.model_validate(settings)
        except ValidationError as error:
            raise SiteInvalid("RNK5009E", endpoint=endpoint, reason=_reason(error)) from error
        place = place_of(checked.folder, folder)
        with telling(place):
            make_own(checked.folder, place)
        return FilesSink(place, file_mode=int(checked.file_mode, 8))


def _reason(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"


ADAPTER: Final = FilesAdapter()
