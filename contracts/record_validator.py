"""One record checked against its contract: a pydantic model made from the contract, and its findings as violations.

Owns: the record side of validation. It reports what `contracts.frame_validator` reports for a frame, in the same order; besides, a
record can have what a frame cannot: fields the contract does not know (`unknown_field`) and values that are not text (`type`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, create_model, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from contracts.field_rules import field_rules, severity_of
from contracts.model import Contract, ContractField, CrossRule, fields_in
from contracts.rules import Predicate, predicate
from contracts.violations import Violation

UNKNOWN_FIELD: Final = "unknown_field"
_CROSS: Final = "cross:"


class RecordValidator:
    """Checks records of one contract.

    `model` is the generated pydantic model: one text field per contract field (absent by default), unknown keys refused, every broken
    rule of severity reject an error whose type is the rule. Warnings are collected in the validation context under `warnings`.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.model = model_of(contract)
        self._position = {field.name: index for index, field in enumerate(contract.fields)}
        self._cross_position = {rule.id: index for index, rule in enumerate(contract.rules)}

    def check(self, record: Mapping[str, object]) -> list[Violation]:
        """All broken rules of the record: fields in contract order, unknown fields, then cross rules in order.

        A field the record lacks is absent. The record is good when no violation has severity reject.
        """
        found: list[tuple[tuple[int, int], Violation]] = []
        warnings: list[tuple[str, str]] = []
        try:
            self.model.model_validate(dict(record), context={"warnings": warnings})
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False, include_context=False):
                found.append(self._violation(str(detail["loc"][0]), detail["type"], "reject", len(found)))
        found.extend(self._violation(field, rule, "warn", index) for index, (field, rule) in enumerate(warnings, len(found)))
        return [violation for _, violation in sorted(found, key=lambda each: each[0])]

    def _violation(self, field: str, rule: str, severity: str, index: int) -> tuple[tuple[int, int], Violation]:
        fields = len(self._position)
        if rule.startswith(_CROSS):
            rule = rule.removeprefix(_CROSS)
            return (fields + 1, self._cross_position[rule]), Violation(field, rule, severity)
        if field not in self._position:
            return (fields, index), Violation(field, UNKNOWN_FIELD, severity)
        if rule.startswith("string_"):  # pydantic's own refusal of a text that is no Unicode
            rule = "type"
        # within a field: warnings come before the reject that ended it, and keep their order
        rank = index if severity == "warn" else 1_000_000
        return (self._position[field], rank), Violation(field, rule, severity)


def model_of(contract: Contract) -> type[BaseModel]:
    """The contract as a pydantic model; see `RecordValidator.model`.

    Raises:
        ValueError: a pattern, limit or condition of the contract cannot be used (`contracts.contract_check` finds these earlier).
    """
    fields: dict[str, Any] = {
        _attribute(field.name): (Annotated[str, BeforeValidator(_field_validator(field, contract))], Field("", alias=field.name))
        for field in contract.fields
    }
    checks = [_CrossCheck(rule, contract) for rule in contract.rules]
    absent = dict.fromkeys(contract.names, "")

    def check_rules(cls: type[BaseModel], data: Any, handler: Callable[[Any], Any], info: ValidationInfo) -> Any:  # noqa: ARG001
        """Cross rules run even where other fields are broken: each needs only its own fields to be good."""
        errors: list[InitErrorDetails] = []
        broken_fields: set[object] = set()
        result = None
        try:
            result = handler({**absent, **data} if isinstance(data, Mapping) else data)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                kind = PydanticCustomError(detail["type"], "{rule}", {"rule": detail["type"]})
                errors.append(InitErrorDetails(type=kind, loc=detail["loc"], input=detail["input"]))
                broken_fields.add(detail["loc"][0] if detail["loc"] else "")
        if isinstance(data, Mapping):
            for check in checks:
                if not check.fields & broken_fields and check.broken(data):
                    if check.rule.severity == "warn":
                        _warn(info, check.rule.field, _CROSS + check.rule.id)
                        continue
                    kind = PydanticCustomError((_CROSS + check.rule.id), "{rule}", {"rule": check.rule.id})
                    errors.append(InitErrorDetails(type=kind, loc=(check.rule.field,), input=None))
        if errors:
            raise ValidationError.from_exception_data(contract.contract, errors)
        return result

    return create_model(
        _class_name(contract.contract),
        __config__=ConfigDict(extra="forbid", frozen=True, protected_namespaces=()),
        __validators__={"check_rules": model_validator(mode="wrap")(check_rules)},  # type: ignore[dict-item]
        **fields,
    )


def _class_name(contract: str) -> str:
    name, version = contract.split("@")
    return "".join(part.capitalize() for part in name.split("-")) + "V" + version.replace(".", "_")


def _attribute(name: str) -> str:
    """A field may be called what pydantic already uses (`copy`, `model_fields`): the attribute then ends in `_of_record`."""
    return f"{name}_of_record" if hasattr(BaseModel, name) else name


def _warn(info: ValidationInfo, field: str, rule: str) -> None:
    if info.context is not None:
        info.context.setdefault("warnings", []).append((field, rule))


def _field_validator(field: ContractField, contract: Contract) -> Callable[[Any, ValidationInfo], str]:
    rules = field_rules(field, contract)

    def broke(info: ValidationInfo, rule: str, severity: str) -> None:
        if severity == "reject":
            raise PydanticCustomError(rule, "{rule}", {"rule": rule})
        _warn(info, field.name, rule)

    def check(value: Any, info: ValidationInfo) -> str:
        if not isinstance(value, str):
            raise PydanticCustomError("type", "{rule}", {"rule": "type"})
        if value == "":
            if field.required:
                broke(info, "required", severity_of(field, "required"))
            return value
        for rule in rules:
            if rule.broken(value):
                broke(info, rule.rule, rule.severity)
        return value

    return check


class _CrossCheck:
    def __init__(self, rule: CrossRule, contract: Contract) -> None:
        self.rule = rule
        self.fields: set[object] = {rule.field, *fields_in(rule.then), *(fields_in(rule.when) if rule.when else ())}
        self._when: Predicate | None = predicate(rule.when, contract) if rule.when else None
        self._then: Predicate = predicate(rule.then, contract)

    def broken(self, record: Mapping[str, str]) -> bool:
        return (self._when is None or self._when(record)) and not self._then(record)
