"""The site's configuration as data: `site.yaml` and the `tenants/<code>.yaml` it includes.

Owns: the words of the configuration. Reading, cross-checks and `renkei check` are in `bus.site_check`; example files in `bus.example`.
Paths are relative to the folder of `site.yaml`. Each loaded tenant has a digest that is recorded on what it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from contracts.model import Condition, ContractName, Strict, Words

TenantCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
"""団体コード, 6 digits with check digit."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class ApiKey(Strict):
    """A key a system's programs sign in with. Only its sha256 (hex) stands here; `ends` is its last day."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    ends: Day


class System(Strict):
    """A business system of the municipality. `id` is the 3-digit 業務ID."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9]{3}$")]
    name: Words
    vendor: str = ""
    placed: Literal["on_premises", "government_cloud"] = "on_premises"
    api_keys: list[ApiKey] = Field(default_factory=list)


class Breaker(Strict):
    """When an endpoint is left alone: after `failures` attempts in a row that failed, for `open_seconds`, then one attempt tries it."""

    failures: int = Field(default=10, ge=1)
    open_seconds: float = Field(default=30.0, gt=0)


class Limits(Strict):
    """What an endpoint bears, over all its subscriptions. None: no limit of that kind."""

    concurrent: int = Field(default=16, ge=1, le=1000)
    per_second: float | None = Field(default=None, gt=0)
    bytes_per_second: float | None = Field(default=None, gt=0)
    breaker: Breaker = Breaker()


class Endpoint(Strict):
    """Where a system sends or receives. `settings` belong to the adapter and are checked by it; `limits` bind events that leave."""

    id: Name
    system: str
    adapter: str = "files"
    settings: dict[str, Any] = Field(default_factory=dict)
    limits: Limits = Limits()


class Window(Strict):
    """When the night's work may run, local time; `end` before `start` means the next day."""

    start: ClockTime
    end: ClockTime


class Rejects(Strict):
    """What broken records mean. `reject_records`: the others go on, unless more than `max_share` (0..1) or `max_records` are broken;
    `reject_file`: one broken record refuses the file."""

    policy: Literal["reject_records", "reject_file"] = "reject_records"
    max_share: float = Field(default=0.05, ge=0, le=1)
    max_records: int | None = Field(default=None, ge=0)


class EventRules(Strict):
    """What only events have. `types`: the CloudEvents types that may come; empty: any. `max_bytes`: of one event with its envelope.
    `support_measure`: `flags` says that events of this interface carry the flags of people under support measures and go first; `waits`
    that a person's events here wait, at each receiving system, while a flag of that person is undelivered there. `replies` names the
    interface on which the answers to this one's messages come; `expires_seconds` is how long a message of it is worth delivering."""

    types: list[str] = Field(default_factory=list)
    max_bytes: int = Field(default=256 * 1024, ge=1024, le=16 * 1024 * 1024)
    lane: Literal["urgent", "normal", "bulk"] = "normal"
    support_measure: Literal["none", "flags", "waits"] = "none"
    replies: Name | None = None
    expires_seconds: float | None = Field(default=None, gt=0)


class Interface(Strict):
    """One agreed flow of a contract from a system. `file` is the name pattern of incoming files (see `bus.names`): it must hold
    `{business_date}` or the layout's header record must. A run before `day_ends` belongs to the evening before. Of `kind: event`, each
    message is one record, published over HTTP or AMQP; such an interface has `event`, and neither `layout` nor `file`."""

    id: Name
    contract: ContractName
    layout: str = ""
    endpoint: Name
    kind: Literal["full", "differential", "event"] = "full"
    file: str = ""
    event: EventRules = EventRules()
    window: Window = Window(start="20:00", end="06:00")
    day_ends: ClockTime = "12:00"
    expected: Literal["daily", "none"] = "none"
    on_revision: Literal["hold", "accept"] = "hold"
    rejects: Rejects = Rejects()


class Retry(Strict):
    """When a failed delivery is tried again: exponential with full jitter, up to `attempts`, then quarantine."""

    first_seconds: float = Field(default=5.0, gt=0)
    factor: float = Field(default=2.0, ge=1)
    most_seconds: float = Field(default=900.0, gt=0)
    attempts: int = Field(default=8, ge=1)


class Subscription(Strict):
    """One receiver of an interface. `file` is the outgoing name pattern, `marker` of the completion marker. `valid_from`/`valid_until`
    are business dates, both included. A subscription of an event interface has no `layout`, `file` or `marker`; `expires_seconds` is how
    long its deliveries are worth making."""

    id: Name
    interface: Name
    system: str
    endpoint: Name
    translation: str | None = None
    layout: str = ""
    file: str = ""
    marker: str | None = None
    expires_seconds: float | None = Field(default=None, gt=0)
    filter: Condition | None = None
    retry: Retry = Retry()
    valid_from: Day | None = None
    valid_until: Day | None = None


class Tenant(Strict):
    """One municipality."""

    tenant: TenantCode
    name: Words
    systems: list[System] = Field(min_length=1)
    endpoints: list[Endpoint] = Field(default_factory=list)
    interfaces: list[Interface] = Field(default_factory=list)
    subscriptions: list[Subscription] = Field(default_factory=list)


class Listen(Strict):
    """Where `/metrics`, `/healthz` and `/readyz` are served. Beyond loopback only with `token_file`, a bearer token. Port 0: any free."""

    host: str = "127.0.0.1"
    port: int = Field(default=9460, ge=0, le=65535)
    token_file: str | None = None


class Api(Strict):
    """Where applications publish and subscribe. `sign_in: key` asks for an API key of the calling system; without it (`none`) only
    loopback is served, and whoever is on the machine may call as any system. `most_waiting` and `most_waiting_bytes`: events in memory
    that wait for the journal; beyond them publishers are told to come back later. `connections`: at once."""

    host: str = "127.0.0.1"
    port: int = Field(default=9461, ge=0, le=65535)
    sign_in: Literal["none", "key"] = "none"
    most_waiting: int = Field(default=2000, ge=1)
    most_waiting_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)
    connections: int = Field(default=2000, ge=1)
    tls_certificate: str | None = None
    tls_key: str | None = None

    @property
    def scheme(self) -> Literal["https", "http"]:
        """Of its addresses: with a certificate and its key, nothing but TLS is spoken."""
        return "https" if self.tls_certificate and self.tls_key else "http"


class BrokerAt(Strict):
    """The RabbitMQ that nodes share work hints over and applications reach by AMQP. Without it, hints stay in the process."""

    url: Annotated[str, StringConstraints(pattern=r"^amqps?://[^:/@]+@[^/]+(/.*)?$")]
    """`amqp://user@host:port/virtual-host`, without a password"""
    password_file: str | None = None
    management_url: str | None = None
    """HTTP of the management plugin, to make tenants' virtual hosts"""


class Journal(Strict):
    """Where the journal is: an SQLite file, or with `url` a PostgreSQL database that several nodes share. `folder` is the node's own
    private folder then."""

    file: str = "var/journal.db"
    url: Annotated[str, StringConstraints(pattern=r"^postgresql\+psycopg://[^:/@]+@[^/]+/.+$")] | None = None
    """`postgresql+psycopg://user@host:port/database`, without a password"""
    password_file: str | None = None


class Payloads(Strict):
    """Where payload parts are kept."""

    folder: str = "var/payloads"


class Batch(Strict):
    """How the batch works. `workers` processes, chunks of about `chunk_bytes`."""

    workers: int = Field(default=2, ge=1, le=256)
    chunk_bytes: int = Field(default=8 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024)
    work_folder: str = "var/work"


class Site(Strict):
    """`site.yaml`."""

    site: Name
    node: Name = "node1"
    time_zone: str = "Asia/Tokyo"
    listen: Listen = Listen()
    api: Api = Api()
    journal: Journal = Journal()
    broker: BrokerAt | None = None
    payloads: Payloads = Payloads()
    batch: Batch = Batch()
    contracts: list[str] = Field(default_factory=list)
    """folders with the site's own contracts (`*.yaml`), besides the library"""
    translations: list[str] = Field(default_factory=list)
    """folders with translations"""
    tenants: list[str] = Field(min_length=1)
    """tenants' files"""


@dataclass(frozen=True, slots=True)
class LoadedTenant:
    """A tenant with the digest (sha256, hex) of its file and of every contract and translation it names."""

    tenant: Tenant
    digest: str
    file: Path


@dataclass(frozen=True, slots=True)
class LoadedSite:
    """A checked configuration. `folder` is where relative paths begin."""

    site: Site
    folder: Path
    tenants: dict[str, LoadedTenant]

    def path(self, relative: str) -> Path:
        """A path of the configuration as an absolute one."""
        return (self.folder / relative).resolve()
