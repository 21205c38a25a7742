"""What can go wrong between an application and the bus.

    RenkeiClientError
    ├── Refused             the bus will not take it as it is: `status`, `message_id`, `detail`, `problems` say why
    │   ├── NotSignedIn         no key, a wrong one, or one that has ended (401, 403)
    │   ├── NotKnown            no such interface, subscription, message or upload for this system (404)
    │   ├── Conflict            the same event id with other content (409)
    │   ├── TooLarge            the body is larger than the interface takes (413)
    │   └── ContractViolated    the data breaks its contract: every broken rule is in `problems` (422)
    ├── Unavailable         the bus was not reached, or was busy, for as long as the client may try; trying again later is safe
    ├── NoReplyYet          a request was taken, and no reply came in time; `message` is there to ask for it later
    ├── Expired             a request ended without a reply in its time
    ├── StaleDelivery       the lease of a delivery had ended: it is delivered again, or was already settled
    └── WebhookRefused      a webhook is not the bus's, or too old

What the bus says is in English in `str(error)`; a problem's `words` say it in Japanese and English. Values are masked by the bus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as own


class RenkeiClientError(Exception):
    """Anything this package reports."""


@dataclass(frozen=True)
class Problem:
    """One broken rule. `value` is masked; `words` and `action` are by language, `ja` and `en`."""

    field: str
    rule: str
    severity: str = "reject"
    value: str = ""
    words: Mapping[str, str] = own(default_factory=dict)
    action: Mapping[str, str] = own(default_factory=dict)


class Refused(RenkeiClientError):
    """The bus refused a call; the same call will be refused again. `detail` says what is wrong, `action` what to do."""

    def __init__(self, status: int, message_id: str = "", detail: str = "", problems: Sequence[Problem] = (), action: str = "") -> None:
        told = "; ".join(f"{each.field}: {each.words.get('en', each.rule)}" for each in problems)
        super().__init__(" ".join(part for part in (f"HTTP {status}", message_id, detail, told and f"({told})") if part))
        self.status = status
        self.message_id = message_id
        self.detail = detail
        self.problems = tuple(problems)
        self.action = action


class NotSignedIn(Refused):
    """No key, a wrong one, or one that has ended."""


class NotKnown(Refused):
    """There is no such thing for this system. What belongs to others is answered the same way."""


class Conflict(Refused):
    """An event of the same source and id, with other content, was published before."""


class TooLarge(Refused):
    """The body is larger than the interface takes."""


class ContractViolated(Refused):
    """The data breaks its contract."""


class Unavailable(RenkeiClientError):
    """The bus was not reached, or was busy, for as long as the client may try."""


class NoReplyYet(RenkeiClientError):
    """A request was taken, and its reply has not come yet. `message` is the id of the request."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} has no reply yet")
        self.message = message


class Expired(RenkeiClientError):
    """A request ended without a reply in its time. `message` is its id; a late reply may still come and can be asked for."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} expired without a reply")
        self.message = message


class StaleDelivery(RenkeiClientError):
    """The lease of a delivery had ended, so nothing was changed: it is delivered again, or was settled already."""

    def __init__(self, delivery: str) -> None:
        super().__init__(f"{delivery} is no longer lent to this reader")
        self.delivery = delivery


class WebhookRefused(RenkeiClientError):
    """A webhook must not be believed: not signed with a known secret, too old, too new, or no event."""


_KINDS: Mapping[int, type[Refused]] = {
    401: NotSignedIn,
    403: NotSignedIn,
    404: NotKnown,
    409: Conflict,
    413: TooLarge,
    422: ContractViolated,
}


def refusal(status: int, told: object) -> Refused:
    """The error for a refused call. `told` is the answer's JSON: problem details (RFC 9457), or anything a proxy may send."""
    if not isinstance(told, dict):
        return _KINDS.get(status, Refused)(status)
    problems = told.get("problems")
    return _KINDS.get(status, Refused)(
        status,
        str(told.get("message_id", "")),
        str(told.get("detail", told.get("title", ""))),
        [_problem(each) for each in problems if isinstance(each, dict)] if isinstance(problems, list) else (),
        str(told.get("action", "")),
    )


def _problem(told: Mapping[str, object]) -> Problem:
    field, rule, value = (str(told.get(name) or "") for name in ("field", "rule", "value"))
    words, action = _by_language(told.get("words")), _by_language(told.get("action"))
    return Problem(field, rule, str(told.get("severity", "reject")), value, words, action)


def _by_language(told: object) -> dict[str, str]:
    return {str(language): str(text) for language, text in told.items()} if isinstance(told, dict) else {}
