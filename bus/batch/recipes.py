"""From configuration to recipes: which contract, layout and translation an interface and a subscription use.

Owns: looking things up. A `Recipes` belongs to one loaded configuration and is replaced as a whole with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bus.batch.recipe import ReadRecipe, WriteRecipe
from bus.errors import OperationRefused, SiteInvalid
from bus.message import Versions
from bus.site import Endpoint, Interface, LoadedSite, LoadedTenant, Subscription
from contracts.characters import CHARACTERS_VERSION
from contracts.layouts.model import XmlLayout
from contracts.registry import Registry
from contracts.translation import Translation

ThingT = TypeVar("ThingT", Interface, Subscription, Endpoint)


@dataclass(frozen=True, slots=True)
class Recipes:
    """A site's interfaces and subscriptions with everything they name. All lookups raise SiteInvalid for what is not configured."""

    site: LoadedSite
    registry: Registry
    translations: Mapping[str, Translation]

    def tenant(self, code: str) -> LoadedTenant:
        """A tenant by its code."""
        if code not in self.site.tenants:
            raise SiteInvalid("RNK4020E", kind="tenant", name=code, tenant=code)
        return self.site.tenants[code]

    def interface(self, code: str, name: str) -> Interface:
        """An interface of a tenant."""
        return _named(self.tenant(code).tenant.interfaces, name, "interface", code)

    def subscription(self, code: str, name: str) -> Subscription:
        """A subscription of a tenant."""
        return _named(self.tenant(code).tenant.subscriptions, name, "subscription", code)

    def endpoint(self, code: str, name: str) -> Endpoint:
        """An endpoint of a tenant."""
        return _named(self.tenant(code).tenant.endpoints, name, "endpoint", code)

    def read(self, interface: Interface) -> ReadRecipe:
        """How the interface's files are read."""
        layout = self.registry.layout(interface.contract, interface.layout)
        if isinstance(layout, XmlLayout):
            raise SiteInvalid("RNK4021E", interface=interface.id, layout=interface.layout)
        contract = self.registry.contract(interface.contract)
        digest = f"{self.registry.digest(interface.contract)}:{interface.layout}"
        return ReadRecipe(contract, layout, digest)

    def read_again(self, interface: Interface, versions: Versions) -> ReadRecipe:
        """How the files of an earlier message are read: the same way as then.

        Raises:
            OperationRefused: the contract of that name and version is not the one the message was read with.
        """
        recipe = self.read(interface.model_copy(update={"contract": versions.contract, "layout": versions.layout}))
        if self.registry.digest(versions.contract) != versions.contract_digest or versions.characters != CHARACTERS_VERSION:
            raise OperationRefused("RNK4022E", contract=versions.contract)
        return recipe

    def write(self, code: str, contract: str, subscription: Subscription) -> WriteRecipe:
        """How the subscription's files are written from records of `contract`."""
        translation = None
        target_name = contract
        if subscription.translation is not None:
            if subscription.translation not in self.translations:
                raise SiteInvalid("RNK4020E", kind="translation", name=subscription.translation, tenant=code)
            translation = self.translations[subscription.translation]
            target_name = translation.to
        selection = _digest(
            self.registry.digest(contract),
            self.registry.digest(target_name),
            translation.digest or translation.model_dump_json() if translation else "",
            subscription.filter.model_dump_json() if subscription.filter else "",
        )
        return WriteRecipe(
            source=self.registry.contract(contract),
            target=self.registry.contract(target_name),
            layout=self.registry.layout(target_name, subscription.layout),
            translation=translation,
            filter=subscription.filter,
            selection=selection,
            digest=_digest(selection, subscription.layout),
        )

    def versions(self, code: str, interface: Interface) -> Versions:
        """What a message of the interface is read with now."""
        return Versions(
            contract=interface.contract,
            contract_digest=self.registry.digest(interface.contract),
            layout=interface.layout,
            config_digest=self.tenant(code).digest,
            characters=CHARACTERS_VERSION,
        )


def _digest(*made_of: str) -> str:
    return hashlib.sha256("\n".join(made_of).encode()).hexdigest()


def _named(things: Sequence[ThingT], name: str, kind: str, tenant: str) -> ThingT:
    for thing in things:
        if thing.id == name:
            return thing
    raise SiteInvalid("RNK4020E", kind=kind, name=name, tenant=tenant)
