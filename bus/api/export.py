"""The API's documents without a running node: what application developers keep beside their code.

Owns: making them from a site's configuration, the same as the node serves.
"""

from __future__ import annotations

from pathlib import Path

from bus.api.asyncapi import asyncapi_document, everybody
from bus.api.described import routes_described
from bus.api.documents import Json, tenant_document, whole_document
from bus.api.problems import nothing_there
from bus.api.sign_in import Who
from bus.site_check import load_site, registry_of, translations_of


def exported(folder: Path, tenant: str | None = None) -> tuple[Json, Json]:
    """The OpenAPI and the AsyncAPI document of the site in `folder`: of everything in it, or of one tenant with all its systems.

    Raises:
        DocumentInvalid, SiteInvalid: the configuration. CallRefused: no such tenant.
    """
    site = load_site(folder)
    if tenant is not None and tenant not in site.tenants:
        raise nothing_there()
    registry = registry_of(site)
    translations = translations_of(site, registry)
    openapi = whole_document(routes_described(), signs_in=site.site.api.sign_in == "key")
    if tenant is None:
        return openapi, asyncapi_document(site, registry, translations, everybody(site))
    who = Who(tenant, None)
    return tenant_document(openapi, site, registry, who), asyncapi_document(site, registry, translations, [who])
