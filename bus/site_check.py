"""Reading a site's configuration and finding every mistake in it at once: file, line, what is wrong, what to do.

Owns: from `site.yaml` to a `LoadedSite`. The form of the files is in `bus.site`; the checks of one tenant in `bus.site_tenant`, those of
folders and names in `bus.site_places`, of a node's services in `bus.site_services`, of keys in `bus.site_keys`. `renkei check` shows
`check_site`; the node starts with `load_site`, which lets warnings pass.
"""

from __future__ import annotations

import hashlib
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from bus.clock import SystemClock
from bus.errors import SiteInvalid
from bus.site import Api, Batch, Journal, LoadedSite, LoadedTenant, Payloads, Site, Tenant
from bus.site_adapters import Direction, adapter_settings, carries_events, installed_adapters
from bus.site_events import adapter_of
from bus.site_keys import key_problems
from bus.site_known import Known
from bus.site_places import Place, folder_problems, name_problems
from bus.site_secrets import settings_problems
from bus.site_services import service_problems, url_problems, virtual_hosts
from bus.site_tenant import tenant_problems
from bus.site_view import Item, suggestion
from contracts.documents import Document, parse, problems_of, read_document
from contracts.errors import DocumentInvalid, Problem
from contracts.registry import Registry
from contracts.translation import Translation
from contracts.translation_files import find_translations, load_translations

_OF_A_PLACE: Final = ("RNK2204E", "RNK2205E", "RNK2233E", "RNK2234E")
"""A folder that cannot be made or written now, a secret that cannot be read: in a tenant's file, the trouble of that endpoint alone."""


def load_site(folder_or_file: Path) -> LoadedSite:
    """The checked configuration of a site.

    Args:
        folder_or_file: `site.yaml` or the folder it stands in.

    Raises:
        SiteInvalid: there is no `site.yaml`.
        DocumentInvalid: the configuration has errors; lists all of them, of all its files. Warnings do not stop a site, nor does an
            endpoint's folder or secret that cannot be used now: its own files and deliveries meet that.
    """
    found = _Check(_site_file(folder_or_file))
    errors = [problem for problem in found.problems() if problem.message_id.endswith("E") and not found.is_of_one_endpoint(problem)]
    if errors:
        raise DocumentInvalid(errors)
    tenants = {}
    for document, tenant in zip(found.documents, found.models, strict=True):
        digest = _digest(document, tenant, found.known.registry, found.known.translations)
        tenants[tenant.tenant] = LoadedTenant(tenant, digest, document.file)
    return LoadedSite(parse(found.site.document, Site), found.folder, tenants)


def site_alone(folder_or_file: Path) -> Site:
    """`site.yaml` itself, without its tenants: what must be known before all else. When it has errors, those of the whole site are raised.

    Raises:
        SiteInvalid, DocumentInvalid: as `load_site`.
    """
    try:
        return parse(read_document(_site_file(folder_or_file)), Site)
    except DocumentInvalid:
        load_site(folder_or_file)
        raise


def check_site(folder_or_file: Path) -> list[Problem]:
    """Every problem of the site: errors (ids ending in E) and warnings (W), by file and line.

    Raises:
        SiteInvalid: there is no `site.yaml`.
    """
    return _Check(_site_file(folder_or_file)).problems()


def registry_of(site: LoadedSite) -> Registry:
    """The contracts a site knows: the library's and those of its own folders.

    Raises:
        DocumentInvalid: a contract was changed since the site was loaded, and has errors now.
    """
    return Registry.load([site.path(folder) for folder in site.site.contracts])


def translations_of(site: LoadedSite, registry: Registry) -> dict[str, Translation]:
    """The translations a site knows, by name.

    Raises:
        DocumentInvalid: a translation was changed since the site was loaded, and has errors now.
    """
    return load_translations([site.path(folder) for folder in site.site.translations], registry)


def _site_file(folder_or_file: Path) -> Path:
    file = folder_or_file / "site.yaml" if folder_or_file.is_dir() else folder_or_file
    if not file.is_file():
        raise SiteInvalid("RNK2001E", path=str(file))
    return file.resolve()


def _digest(document: Document, tenant: Tenant, registry: Registry, translations: Mapping[str, Translation]) -> str:
    """Over the tenant's file and every contract and translation it names, so that a change in any of them shows."""
    used = [translations[name] for name in sorted({item.translation for item in tenant.subscriptions if item.translation})]
    contracts = {interface.contract for interface in tenant.interfaces} | {translation.to for translation in used}
    lines = [f"tenant {document.digest}", *sorted(f"contract {name} {registry.digest(name)}" for name in contracts)]
    lines += [f"translation {translation.translation} {translation.digest}" for translation in used]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(slots=True)
class _Check:
    """One pass over all files of a site."""

    file: Path
    site: Item = field(init=False)
    documents: list[Document] = field(init=False, default_factory=list)
    models: list[Tenant] = field(init=False, default_factory=list)
    """of `documents`, one for each that has no mistake of form"""
    known: Known = field(init=False)

    @property
    def folder(self) -> Path:
        """Where relative paths begin."""
        return self.file.parent

    def problems(self) -> list[Problem]:
        """Read everything, check everything; by file and line, each mistake once."""
        try:
            self.site = Item.whole(read_document(self.file))
        except DocumentInvalid as invalid:
            return list(invalid.problems)
        found = [*self._site(), *self._zone(), *self._library(), *self._tenants()]
        found += self._tenants_agree()
        order = {document.file: position for position, document in enumerate([self.site.document, *self.documents])}
        unique = {(str(problem.file), problem.line, problem.column, problem.message_id, str(problem.facts)): problem for problem in found}
        return sorted(unique.values(), key=lambda problem: (order.get(problem.file, -1), problem.file, problem.line, problem.column))

    def is_of_one_endpoint(self, problem: Problem) -> bool:
        """Whether the problem is that an endpoint's folder or secret cannot be used now."""
        return problem.message_id in _OF_A_PLACE and problem.file != self.file

    def _site(self) -> Iterator[Problem]:
        """`site.yaml` itself. A URL that is none is told in other words than pydantic's, which would show a password in it."""
        urls = url_problems(self.site)
        told = {(problem.line, problem.column) for problem in urls}
        try:
            Site.model_validate(self.site.document.data)
        except ValidationError as error:
            found = problems_of(self.site.document, error, Site)
            yield from (problem for problem in found if (problem.line, problem.column) not in told)
        yield from urls
        yield from service_problems(self.site, self.folder)

    def _zone(self) -> Iterator[Problem]:
        name = self.site.text("time_zone")
        if name is not None and name not in zoneinfo.available_timezones():
            yield self.site.problem("RNK2002E", "time_zone", name=name, suggestion=suggestion(name, zoneinfo.available_timezones()))

    def _library(self) -> list[Problem]:
        """Load contracts and translations; what is wrong with them is the site's trouble too."""
        found: list[Problem] = []
        folders: dict[str, list[Path]] = {}
        for key in ("contracts", "translations"):
            given = [(index, (self.folder / text).resolve()) for index, text in self.site.texts(key)]
            found += [self.site.problem("RNK2003E", key, index, folder=str(folder)) for index, folder in given if not folder.is_dir()]
            folders[key] = [folder for _, folder in given if folder.is_dir()]
        registry, errors = Registry.readable(folders["contracts"])
        translations = find_translations(folders["translations"], registry)
        own = [problem for problem in (*registry.warnings, *translations.problems) if problem.file.is_relative_to(self.folder)]
        unread = {problem.file.stem for problem in translations.errors} - set(translations.translations)
        self.known = Known(
            registry,
            translations.translations,
            frozenset(unread),
            broker=bool(self.site.part("broker").data),
            most_waiting_bytes=self._most_waiting_bytes(),
        )
        found += [*errors, *own, *(problem for problem in translations.errors if problem not in own)]
        # a translation of a contract whose file is broken is not to blame
        return [problem for problem in found if not (problem.message_id == "RNK1303E" and problem.facts["name"] in registry.broken)]

    def _tenants(self) -> list[Problem]:
        """Read each tenant's file and check it by itself."""
        found: list[Problem] = []
        read: set[Path] = set()
        for index, name in self.site.texts("tenants"):
            file = (self.folder / name).resolve()
            if file in read:
                found.append(self.site.problem("RNK2005E", "tenants", index, file=name))
                continue
            try:
                document = read_document(file)
            except OSError as error:
                found.append(self.site.problem("RNK2004E", "tenants", index, file=str(file), reason=error.strerror or str(error)))
            except DocumentInvalid as invalid:
                found += invalid.problems
            else:
                read.add(file)
                self.documents.append(document)
                found += self._form_of(document)
                found += tenant_problems(Item.whole(document), self.known)
        return found

    def _form_of(self, document: Document) -> list[Problem]:
        """The mistakes of form of a tenant's file; without any, its model is kept."""
        try:
            self.models.append(Tenant.model_validate(document.data))
        except ValidationError as error:
            return list(problems_of(document, error, Tenant))
        return []

    def _tenants_agree(self) -> Iterator[Problem]:
        """What only the tenants together can get wrong: codes, folders, names."""
        first: dict[str, Item] = {}
        tenants: list[tuple[str, Item]] = []
        for document in self.documents:
            tenant = Item.whole(document)
            code = tenant.text("tenant") or document.file.stem
            if code in first:
                yield tenant.problem("RNK2006E", "tenant", code=code, other=str(first[code].document.file))
            first.setdefault(code, tenant)
            tenants.append((code, tenant))
        yield from key_problems(tenants, signs_in=self.site.part("api").text("sign_in") == "key", today=self._today())
        yield from virtual_hosts(self.site, sum(1 for _, tenant in tenants if _has_amqp(tenant)))
        places: list[Place] = []
        for code, tenant in tenants:
            yield from self._endpoints(code, tenant, places)
        yield from folder_problems(places, list(self._own_folders()))
        folders = {(place.tenant, place.endpoint.text("id") or ""): place.folder for place in places}
        yield from name_problems(tenants, self.known, folders)

    def _endpoints(self, code: str, tenant: Item, places: list[Place]) -> Iterator[Problem]:
        """Check each endpoint's settings with its adapter, and the secrets they name; note the folder, if it has one."""
        sources = {item.text("endpoint") for item in tenant.items("interfaces")}
        sinks = {item.text("endpoint") for item in tenant.items("subscriptions")}
        for endpoint in tenant.items("endpoints"):
            name = endpoint.text("id")
            used: tuple[tuple[Direction, set[str | None]], ...] = (("source", sources), ("sink", sinks))
            directions = [direction for direction, names in used if name in names]
            if len(directions) > 1 and not carries_events(adapter_of(endpoint)):
                known = adapter_of(endpoint) in installed_adapters()
                yield from [endpoint.problem("RNK2124E", "id", id=name)] if known else _settings(endpoint, [], self.folder)
                continue
            yield from _settings(endpoint, directions, self.folder)
            yield from settings_problems(endpoint.part("settings"), self.folder)
            folder = endpoint.part("settings").text("folder")
            if folder is not None:
                way = {"source": "in", "sink": "out"}[directions[0]] if directions else ""
                places.append(Place(code, endpoint, (self.folder / folder).resolve(), way))

    def _today(self) -> date:
        """Today, where the site is."""
        name = self.site.text("time_zone")
        zone = zoneinfo.ZoneInfo(name) if name in zoneinfo.available_timezones() else UTC
        return datetime.fromtimestamp(SystemClock().now_us() / 1_000_000, zone).date()

    def _most_waiting_bytes(self) -> int:
        given = self.site.part("api").data.get("most_waiting_bytes")
        return given if isinstance(given, int) else Api().most_waiting_bytes

    def _own_folders(self) -> Iterator[tuple[Item, str, Path]]:
        """The folders that belong to the bus itself."""
        journal = self.site.part("journal").text("file") or Journal().file
        payloads = self.site.part("payloads").text("folder") or Payloads().folder
        work = self.site.part("batch").text("work_folder") or Batch().work_folder
        own = (("journal", "file", Path(journal).parent), ("payloads", "folder", Path(payloads)), ("batch", "work_folder", Path(work)))
        for part, key, folder in own:
            yield self.site.part(part), key, (self.folder / folder).resolve()


def _has_amqp(tenant: Item) -> bool:
    return any(adapter_of(endpoint) == "amqp" for endpoint in tenant.items("endpoints"))


def _settings(endpoint: Item, directions: Sequence[Direction], folder: Path) -> Iterator[Problem]:
    """What the endpoint's adapter says of its settings; only whether there is such an adapter, when nothing uses the endpoint."""
    name, settings = adapter_of(endpoint), endpoint.data.get("settings", {})
    at = (*endpoint.path, "settings") if "settings" in endpoint.data else endpoint.path
    try:
        adapter = adapter_settings(name)
        for direction in directions:
            model = adapter.settings_model(direction)
            model.model_validate(settings, context={"folder": folder})
    except LookupError:
        known = installed_adapters()
        yield endpoint.problem("RNK2123E", "adapter", name=name, suggestion=suggestion(name, known), known=", ".join(known))
    except (ImportError, AttributeError) as error:
        yield endpoint.problem("RNK2125E", "adapter", name=name, reason=str(error))
    except ValidationError as error:
        if isinstance(settings, dict):
            yield from problems_of(endpoint.document, error, model, at)
