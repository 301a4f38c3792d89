"""Settings: read once from the environment at the start, frozen, handed down; nobody else reads the environment."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PARTY_TYPES = ("MSISDN", "EMAIL", "PERSONAL_ID", "BUSINESS", "DEVICE", "ACCOUNT_ID", "IBAN", "ALIAS")
CRON_FIELDS: Final = 5


class Settings(BaseSettings):
    """Every setting of every role. Environment names are the field names in capitals behind `CLEARINGHUB_`."""

    model_config = SettingsConfigDict(env_prefix="CLEARINGHUB_", frozen=True, extra="ignore", hide_input_in_errors=True)

    hub_name: str = Field("Hub", min_length=2, max_length=30)
    kafka_bootstrap: str = Field(
        "", validation_alias=AliasChoices("kafka_bootstrap", "CLEARINGHUB_KAFKA_BOOTSTRAP", "KAFKA_BOOTSTRAP")
    )
    # How every client reaches it (docs/security.md). Order counts: each is judged by those before it.
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str = Field("", validate_default=True)
    kafka_sasl_password: SecretStr = Field(SecretStr(""), validate_default=True)
    kafka_ca_file: Path | None = None  # who may have signed the broker's certificate; else whom the machine trusts
    kafka_cert_file: Path | None = None  # the client's own, where the broker asks for one
    kafka_key_file: Path | None = None  # its key, unencrypted; else in the same file
    local_brokers: int = 1  # how many brokers `clearinghub all` starts on this machine when it finds none: 1 or 3
    application_id: str = "clearinghub"
    topic_prefix: str = ""
    partitions: int = Field(12, ge=1, le=1024)
    replication_factor: int = Field(1, ge=1, le=7)
    data_dir: Path = Path("data")
    run_dir: Path = Path("run")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"

    bind_host: str = "127.0.0.1"
    fspiop_port: int = Field(4000, ge=0, le=65535)
    admin_port: int = Field(4001, ge=0, le=65535)
    ledger_port: int = Field(4002, ge=0, le=65535)
    callbacks_port: int = Field(4003, ge=0, le=65535)
    ledger_url: str = ""  # how the ingress reaches this ledger worker; default http://127.0.0.1:<ledger_port>
    archive_port: int = Field(4004, ge=0, le=65535)  # metrics of `clearinghub archive --follow`
    admin_url: str = ""  # where operators' commands find the admin API; default http://<bind_host>:<admin_port>
    settlement_base_path: str = Field("/v2", pattern=r"^/[A-Za-z0-9._-]+$")  # of the settlement API, on the admin port
    instance: str = "0"  # stable name of this process among its role's replicas (StatefulSet ordinal)

    # Protocol (protocol 1.2): accepted versions, and what messages of the hub itself carry.
    content_versions: tuple[str, ...] = ("1.0", "1.1", "2.0")
    accept_versions: tuple[str, ...] = ("1", "1.0", "1.1", "2", "2.0")
    content_version_default: str = "1.1"
    body_bytes_max: int = Field(5_242_880, ge=1024)
    completed_timestamp_ahead_ms_max: int = 200
    completed_timestamp_age_ms_max: int = 300_000
    on_us_transfers: bool = False
    confirm_to_payee: bool = True
    currencies_extra: tuple[str, ...] = ()
    # FSPIOP-URI of a bulk's PUTs as Mojaloop's adapter has it, /{receiver}/bulkTransfers/{id}, instead of the API's.
    fsp_in_bulk_paths: bool = False
    # Where a resource departs from the lists above; as JSON in the environment.
    resource_content_versions: dict[str, tuple[str, ...]] = {
        "transactionRequests": ("1.1", "1.0"),
        "authorizations": ("1.1", "1.0"),
    }
    resource_accept_versions: dict[str, tuple[str, ...]] = {
        "transactionRequests": ("1", "1.0", "1.1"),
        "authorizations": ("1", "1.0", "1.1"),
    }
    resource_content_version_default: dict[str, str] = {}

    # Quotes and what is relayed beside them (protocol 7).
    quotes: Literal["stateless", "stored"] = "stateless"
    quote_lifetime_s: int = Field(86_400, ge=1)  # the longest, and that of a quote without expiration
    quote_retention_s: int = Field(86_400, ge=0)  # behind its expiry
    quote_parties_must_match: bool = False  # refuse bodies that name other FSPs than the headers do
    forward_patience_ms: int = Field(10_000, ge=100)  # then whoever asked hears that it did not arrive (ADR 12)

    # Parties (protocol 6; docs/operators.md).
    built_in_oracle_types: tuple[str, ...] = PARTY_TYPES  # asked for a type as long as no oracle is registered for it
    participants_reference_shapes: bool = False  # answers of /participants as the reference has them, not as the API
    oracle_timeout_ms: int = Field(3_000, ge=10)  # from the question to the answer, waiting for a turn included
    oracle_cache_ms: int = Field(2_000, ge=0)  # how long a lookup's answer counts
    oracle_cache_answers_max: int = Field(10_000, ge=0)
    oracle_in_flight_max: int = Field(64, ge=1)  # of one oracle
    oracle_waiting_max: int = Field(1_000, ge=1)  # of one oracle; more are answered 1001 at once
    oracle_breaker_failures: int = Field(10, ge=1)
    oracle_breaker_open_ms: int = Field(5_000, ge=1)

    # Signatures (protocol 10.1, docs/security.md). Order counts: each switch stands before the path that it needs.
    jws_validate: bool = False  # refuse messages that their source has not signed
    jws_keys_dir: Path | None = Field(None, validate_default=True)  # NAME.pem of each participant
    jws_keys_interval_ms: int = Field(1_000, ge=100)  # how soon a changed file counts
    jws_sign: bool = False  # sign what the hub itself says
    jws_private_key_file: Path | None = Field(None, validate_default=True)

    # Ingress: a request is answered only behind its record on the broker.
    record_timeout_ms: int = Field(5_000, ge=100)
    records_waiting_max: int = Field(5_000, ge=1)
    requests_begun_max: int = Field(500, ge=1)  # POST and GET without an answer yet; more get 503, 2005
    # All new work is let in until records wait so long to be decided; from `none` on nothing new is (503, 2005).
    overload_full_ms: int = Field(1_000, ge=1)
    overload_none_ms: int = Field(2_000, ge=2)

    # Engine (design 4 and 5).
    standby_replicas: int = Field(0, ge=0)
    round_records_max: int = Field(500, ge=1)
    round_interval_ms: int = Field(30, ge=0)
    batch_backlog_records_max: int = Field(2_000, ge=1)
    session_timeout_ms: int = Field(10_000, ge=1_000)
    punctuate_interval_ms: int = Field(1_000, ge=100)
    transfer_retention_s: int = Field(7 * 86_400, ge=60)
    archiving: bool = False  # finished transfers stay longer, until `clearinghub archive` has them (docs/archive.md)
    command_timeout_ms: int = Field(5_000, ge=100)
    stop_timeout_ms: int = Field(10_000, ge=1_000)

    # Settlement (protocol 9.2): when the open window is closed by itself; never without an expression.
    settlement_window_cron: str = ""  # five fields, e.g. "0 17 * * 1-5"
    settlement_window_time_zone: str = "UTC"  # IANA, e.g. "Africa/Nairobi"
    settlement_retention_s: int = Field(90 * 86_400, ge=3_600)  # of settled windows, of settlements that are over

    interchange_fees_file: Path | None = None  # docs/settlement.md

    # Callbacks (design 9).
    callback_timeout_ms: int = Field(20_000, ge=100)
    callback_retries_max: int = Field(6, ge=0)
    callback_retry_first_ms: int = Field(200, ge=1)
    callback_retry_longest_ms: int = Field(30_000, ge=1)
    callback_in_flight_per_receiver_max: int = Field(64, ge=1)
    callback_queue_per_receiver_max: int = Field(10_000, ge=1)
    callback_pending_max: int = Field(20_000, ge=1)  # of all receivers together: what the process holds in memory
    callback_wait_ms_max: int = Field(60_000, ge=100)  # from taken to first or next attempt; then the dead letter
    callback_breaker_failures: int = Field(10, ge=1)
    callback_breaker_open_ms: int = Field(5_000, ge=1)

    @field_validator("kafka_security_protocol")
    @classmethod
    def _has_a_broker(cls, value: str, info: ValidationInfo) -> str:
        if value != "PLAINTEXT" and not info.data.get("kafka_bootstrap"):
            raise ValueError("needs KAFKA_BOOTSTRAP: a broker that the hub starts itself speaks PLAINTEXT")
        return value

    @field_validator("local_brokers")
    @classmethod
    def _alone_or_with_a_majority(cls, value: int) -> int:
        if value not in (1, 3):
            raise ValueError("must be 1 or 3")
        return value

    @field_validator("kafka_sasl_username", "kafka_sasl_password")
    @classmethod
    def _as_the_protocol_has_names(cls, value: str | SecretStr, info: ValidationInfo) -> str | SecretStr:
        protocol = info.data.get("kafka_security_protocol", "")
        if protocol and bool(value) != protocol.startswith("SASL"):
            raise ValueError(f"{'means nothing' if value else 'is needed'} with {protocol}")
        return value

    @field_validator("kafka_ca_file", "kafka_cert_file", "kafka_key_file")
    @classmethod
    def _as_the_protocol_has_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        protocol = info.data.get("kafka_security_protocol", "")
        if value is not None and protocol and not protocol.endswith("SSL"):
            raise ValueError(f"means nothing with {protocol}")
        if value is not None and info.field_name == "kafka_key_file" and info.data.get("kafka_cert_file") is None:
            raise ValueError("needs kafka_cert_file")
        return value

    @field_validator("jws_keys_dir", "jws_private_key_file", mode="before")
    @classmethod
    def _needed_by_its_switch(cls, value: object, info: ValidationInfo) -> object:
        switch = "jws_validate" if info.field_name == "jws_keys_dir" else "jws_sign"
        if value not in (None, ""):
            return value
        if info.data.get(switch):
            raise ValueError(f"is needed when {switch} is on")
        return None

    @field_validator("overload_none_ms")
    @classmethod
    def _above_full(cls, value: int, info: ValidationInfo) -> int:
        if value <= info.data.get("overload_full_ms", 0):
            raise ValueError("must be above overload_full_ms")
        return value

    def content_versions_of(self, resource: str) -> tuple[str, ...]:
        """The versions in which the resource's messages may come."""
        return self.resource_content_versions.get(resource, self.content_versions)

    def accept_versions_of(self, resource: str) -> tuple[str, ...]:
        """The versions that may be asked for in the resource's callbacks."""
        return self.resource_accept_versions.get(resource, self.accept_versions)

    def content_version_default_of(self, resource: str) -> str:
        """The version of the hub's own messages about the resource."""
        return self.resource_content_version_default.get(resource, self.content_version_default)

    @field_validator("interchange_fees_file", "kafka_ca_file", "kafka_cert_file", "kafka_key_file", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("settlement_window_time_zone")
    @classmethod
    def _is_a_time_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("is no time zone of the IANA database")
        return value

    @field_validator("settlement_window_cron")
    @classmethod
    def _is_a_cron_expression(cls, value: str) -> str:
        try:
            if value and (len(value.split()) != CRON_FIELDS or next(CronSim(value, datetime.now(UTC)), None) is None):
                raise ValueError("is no cron expression of five fields that is ever due")
        except CronSimError as error:
            raise ValueError(f"is no cron expression: {error}") from error
        return value

    def topic(self, name: str) -> str:
        """The broker's name of a topic of topics.yaml."""
        return self.topic_prefix + name
