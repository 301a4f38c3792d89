"""Settings: read from the environment once, at the start, and handed to all parts as an argument."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final, Literal
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from clearinghub.domain.participants.approval import APPROVABLE

PARTY_TYPES = ("MSISDN", "EMAIL", "PERSONAL_ID", "BUSINESS", "DEVICE", "ACCOUNT_ID", "IBAN", "ALIAS")
CRON_FIELDS: Final = 5
HOST_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


class Settings(BaseSettings):
    """All settings of all roles. A field's environment variable is its name in capitals with the prefix `CLEARINGHUB_`.

    Validators see the fields above theirs only, so a switch is declared before the settings that depend on it.
    """

    model_config = SettingsConfigDict(env_prefix="CLEARINGHUB_", frozen=True, extra="ignore", hide_input_in_errors=True)

    hub_name: str = Field("Hub", min_length=2, max_length=30)
    kafka_bootstrap: str = Field(
        "", validation_alias=AliasChoices("kafka_bootstrap", "CLEARINGHUB_KAFKA_BOOTSTRAP", "KAFKA_BOOTSTRAP")
    )
    # How all clients connect to the broker (docs/security.md).
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str = Field("", validate_default=True)
    kafka_sasl_password_file: Path | None = None  # has the password, so that no environment shows it
    kafka_sasl_password: SecretStr = Field(SecretStr(""), validate_default=True)
    kafka_ca_file: Path | None = None  # CA of the broker's certificate; default: those that the machine trusts
    kafka_cert_file: Path | None = None  # certificate of the clients, if the broker requires one
    kafka_key_file: Path | None = None  # its key, not encrypted; default: it is in the certificate's file
    local_brokers: int = 1  # how many brokers `clearinghub all` starts on this machine if it finds none: 1 or 3
    application_id: str = "clearinghub"  # of changelogs, consumer groups and transactional ids
    topic_prefix: str = ""  # of all topics but the changelogs
    partitions: int = Field(12, ge=1, le=1024)
    replication_factor: int = Field(1, ge=1, le=7)
    data_dir: Path = Path("data")  # local copies of tables; data and log of a local broker
    run_dir: Path = Path("run")  # process ids, ROLE.pid
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"

    bind_host: str = "127.0.0.1"
    fspiop_port: int = Field(4000, ge=0, le=65535)
    admin_port: int = Field(4001, ge=0, le=65535)
    ledger_port: int = Field(4002, ge=0, le=65535)
    callbacks_port: int = Field(4003, ge=0, le=65535)
    ledger_url: str = ""  # where the ingress reaches this ledger worker; default http://127.0.0.1:<ledger_port>
    archive_port: int = Field(4004, ge=0, le=65535)  # metrics of `clearinghub archive --follow`
    ops_port: int = Field(4005, ge=0, le=65535)  # health and metrics of the ingress, where 4000 needs a certificate
    admin_url: str = ""  # where operators' commands find the admin API; default http://<bind_host>:<admin_port>
    admin_cert_file: Path | None = None  # by which operators' commands are known to it, where it has TLS
    admin_key_file: Path | None = None  # the certificate's key, not encrypted; default: it is in the same file
    admin_ca_file: Path | None = None  # who has issued its certificate; default: those that the machine trusts
    # Names by which the admin port is reached, besides localhost, bind_host and that of admin_url (docs/security.md).
    admin_hosts: tuple[str, ...] = ()
    settlement_base_path: str = Field("/v2", pattern=r"^/[A-Za-z0-9._-]+$")  # of the settlement API, on the admin port
    instance: str = "0"  # name of this process among its role's replicas, the same after a restart

    # Versions that are accepted, and the version of the hub's own messages (protocol 1.2).
    content_versions: tuple[str, ...] = ("1.0", "1.1", "2.0")
    accept_versions: tuple[str, ...] = ("1", "1.0", "1.1", "2", "2.0")
    content_version_default: str = "1.1"
    body_bytes_max: int = Field(5_242_880, ge=1024)  # of bulks, lists of parties and whatever is not named below
    # Of the bodies of one resource; never above body_bytes_max. As JSON in the environment.
    resource_body_bytes_max: dict[str, int] = {
        "transfers": 65_536,
        "quotes": 131_072,
        "transactionRequests": 65_536,
        "transactions": 65_536,
        "authorizations": 65_536,
        "parties": 65_536,
    }
    body_timeout_ms: int = Field(10_000, ge=100)  # within which the whole body of a request must arrive
    completed_timestamp_ahead_ms_max: int = 200  # how far completedTimestamp may be after the hub's time
    completed_timestamp_age_ms_max: int = 300_000  # and how far before it
    on_us_transfers: bool = False  # accept transfers whose payer and payee are the same DFSP
    confirm_to_payee: bool = True  # send PATCH to a payee that has reserved (protocol 3.6)
    currencies_extra: tuple[str, ...] = ()  # accepted besides those of ISO 4217
    # Send PUTs of bulks with the FSPIOP-URI of Mojaloop's adapter, /{receiver}/bulkTransfers/{id}.
    fsp_in_bulk_paths: bool = False
    # Resources whose versions differ from the lists above; as JSON in the environment.
    resource_content_versions: dict[str, tuple[str, ...]] = {
        "transactionRequests": ("1.1", "1.0"),
        "authorizations": ("1.1", "1.0"),
    }
    resource_accept_versions: dict[str, tuple[str, ...]] = {
        "transactionRequests": ("1", "1.0", "1.1"),
        "authorizations": ("1", "1.0", "1.1"),
    }
    resource_content_version_default: dict[str, str] = {}

    # Quotes, and the other messages that are passed on between DFSPs (protocol 7).
    quotes: Literal["stateless", "stored"] = "stateless"
    quote_lifetime_s: int = Field(86_400, ge=1)  # the longest, and that of a quote without expiration
    quote_retention_s: int = Field(86_400, ge=0)  # how long a quote is kept after its expiry
    quote_parties_must_match: bool = False  # refuse bodies that name other FSPs than the headers do
    # A message that could not be passed on in this time is given up, and its sender is notified (ADR 12).
    forward_patience_ms: int = Field(10_000, ge=100)
    # Pass on only answers of DFSPs to which a question of the receiver has gone (ADR 42); `any`: all answers.
    answers: Literal["requested", "any"] = "requested"
    answer_within_s: int = Field(300, ge=1)  # how long a question may be answered; at most twice as long

    # Parties (protocol 6; docs/operators.md).
    built_in_oracle_types: tuple[str, ...] = PARTY_TYPES  # party types that need no registered oracle
    participants_reference_shapes: bool = (
        False  # answer /participants as Mojaloop's reference does, not as the API says
    )
    oracle_timeout_ms: int = Field(3_000, ge=10)  # of one request, including the time that it waits for its turn
    oracle_cache_ms: int = Field(2_000, ge=0)  # how long an oracle's answer is reused
    oracle_cache_answers_max: int = Field(10_000, ge=0)
    oracle_in_flight_max: int = Field(64, ge=1)  # requests to one oracle at a time
    oracle_waiting_max: int = Field(1_000, ge=1)  # requests that wait for one oracle; further ones fail at once (1001)
    oracle_breaker_failures: int = Field(10, ge=1)
    oracle_breaker_open_ms: int = Field(5_000, ge=1)

    forward_headers_extra: tuple[str, ...] = ()  # headers that travel with a message besides those that FSPIOP defines

    # Who is believed (docs/security.md). clearinghub/security/profile.py derives everything else from these.
    security: Literal["open", "gateway", "full"] = "open"
    secure_dir: Path | None = None  # as `clearinghub secure init` makes it
    open_on_network: bool = False  # with security=open: serve others than this machine nevertheless
    four_eyes: tuple[str, ...] = ()  # commands that wait until a second operator approves them
    tls_min: Literal["1.2", "1.3"] = "1.3"  # the lowest version of TLS on the FSPIOP port
    # With security=gateway: the header in which the gateway names the DFSP, and the certificates of gateways (PEM).
    gateway_identity: Literal["x-client-id", "x-forwarded-client-cert", "x-client-cert"] | None = None
    gateway_credentials: Path | None = None

    # What one participant may send a second; 0 is without a limit, and the default without security=open has one.
    rate_begun: int | None = Field(None, ge=0)  # requests that begin something
    rate_answers: int | None = Field(None, ge=0)  # PUT and PATCH
    rate_bytes: int | None = Field(None, ge=0)  # of bodies

    # Signatures (protocol 10.1, docs/security.md).
    jws_validate: bool = False  # refuse messages that their source has not signed
    jws_keys_dir: Path | None = None  # NAME.pem of each participant that has no credential for signatures
    jws_keys_interval_ms: int = Field(1_000, ge=100)  # how often the folder is checked for changes
    # How far the signed date may be from the time of receipt; 0 accepts any date, and messages that do not sign theirs.
    jws_date_skew_s: int = Field(300, ge=0)
    jws_certificates: Literal["optional", "required"] = "optional"  # whether a credential may be a bare public key
    jws_sign: bool = False  # sign the hub's own messages
    jws_private_key_file: Path | None = Field(None, validate_default=True)

    # Where callbacks and requests to oracles may go (docs/security.md). Networks are JSON in the environment.
    egress_allow: tuple[IPv4Network | IPv6Network, ...] = ()  # networks within which participants and oracles are
    egress_guard: bool = False  # refuse all other addresses that are not public; on if egress_allow has networks
    callback_tls_min: Literal["1.2", "1.3"] = "1.3"  # with security=gateway or full: the lowest version of TLS there

    # Ingress: a request is answered once the broker has confirmed its record.
    record_timeout_ms: int = Field(5_000, ge=100)  # for the confirmation; then 503, 2003
    records_waiting_max: int = Field(5_000, ge=1)  # for their confirmation; further requests get 503, 2005
    records_waiting_bytes_max: int = Field(64 * 1024 * 1024, ge=1024)  # of them all together; likewise
    requests_begun_max: int = Field(500, ge=1)  # POST and GET that are not answered yet; further ones get 503, 2005
    maintenance: bool = False  # accept nothing new, only answers to what was begun (docs/operators.md)
    maintenance_retry_after_s: int = Field(60, ge=1)  # when the sender of a refused request should come again
    # Admission control: from the first wait of records on, a growing share of new requests gets 503, 2005; from the
    # second on, all of them.
    overload_full_ms: int = Field(1_000, ge=1)
    overload_none_ms: int = Field(2_000, ge=2)

    # Engine (design 4 and 5).
    standby_replicas: int = Field(0, ge=0)  # further copies of each partition's tables, on other workers
    round_records_max: int = Field(500, ge=1)  # decided in one transaction
    round_bytes_max: int = Field(8 * 1024 * 1024, ge=1024)  # read, written and emitted in one; ends after that record
    round_interval_ms: int = Field(30, ge=0)  # between the starts of a partition's rounds under load
    batch_backlog_records_max: int = Field(2_000, ge=1)  # fetched ahead for each input of a partition
    batch_backlog_bytes_max: int = Field(4 * 1024 * 1024, ge=1024)  # or so many bytes
    # Then the brokers abort an open transaction; longer than they need to replace a dead one (docs/operators.md).
    transaction_timeout_ms: int = Field(10_000, ge=1_000)
    session_timeout_ms: int = Field(10_000, ge=1_000)  # then the partitions of a silent worker go to others
    punctuate_interval_ms: int = Field(1_000, ge=100)  # how often expired transfers and the like are looked for
    # How long transfers answer duplicates and GETs once they are finished and past their expiration.
    transfer_retention_s: int = Field(7 * 86_400, ge=60)
    # The latest expiration of a transfer or bulk, from now: so long it may hold money, and its row is kept.
    expiration_ahead_s_max: int = Field(30 * 86_400, ge=60)
    archiving: bool = False  # keep them longer, until `clearinghub archive` has them (docs/archive.md)
    command_timeout_ms: int = Field(5_000, ge=100)  # for the ledger's reply; then 504, 2004
    stop_timeout_ms: int = Field(10_000, ge=1_000)  # for a role after SIGTERM; then SIGKILL

    # Settlement (protocol 9.2).
    settlement_window_cron: str = ""  # when the open window is closed, e.g. "0 17 * * 1-5"; default: by operators only
    settlement_window_time_zone: str = "UTC"  # IANA, e.g. "Africa/Nairobi"
    # Nets, accounts and legs that one record's decision reads and writes; what has more is done in several (ADR 30).
    settlement_entries_at_once: int = Field(500, ge=1, le=10_000)
    settlement_retention_s: int = Field(90 * 86_400, ge=3_600)  # of settled windows and finished settlements

    interchange_fees_file: Path | None = None  # the rules of interchange fees (docs/settlement.md)

    # Callbacks (design 9).
    callback_timeout_ms: int = Field(20_000, ge=100)  # of one attempt
    callback_retries_max: int = Field(6, ge=0)  # after the first attempt; then it is dead-lettered
    callback_retry_first_ms: int = Field(200, ge=1)  # the longest pause before the first retry; doubles with each
    callback_retry_longest_ms: int = Field(30_000, ge=1)  # the doubling ends here
    callback_in_flight_per_receiver_max: int = Field(64, ge=1)
    callback_in_flight_max: int = Field(1_024, ge=1)  # of all receivers of a worker together: its connections
    callback_queue_per_receiver_max: int = Field(10_000, ge=1)  # in memory; what exceeds it is parked (ADR 29)
    callback_queue_bytes_per_receiver_max: int = Field(64 * 1024 * 1024, ge=1)
    callback_pending_max: int = Field(20_000, ge=1)  # of all receivers of a worker together, in memory
    callback_pending_bytes_max: int = Field(128 * 1024 * 1024, ge=1)
    callback_hold_ms_max: int = Field(5_000, ge=10)  # what has waited longer is parked, so that its offset is committed
    callback_parked_per_receiver_max: int = Field(100_000, ge=1)  # of a worker; further ones are dead-lettered
    callback_parked_bytes_per_receiver_max: int = Field(512 * 1024 * 1024, ge=1)
    callback_parked_ms_max: int = Field(15 * 60_000, ge=100)  # then dead-lettered
    callback_wait_ms_max: int = Field(60_000, ge=100)  # from its reading to its last attempt; then dead-lettered
    callback_breaker_failures: int = Field(10, ge=1)  # in a row, until nothing is sent to a receiver for a while
    callback_breaker_open_ms: int = Field(5_000, ge=1)  # how long

    @field_validator("kafka_security_protocol")
    @classmethod
    def _has_a_broker(cls, value: str, info: ValidationInfo) -> str:
        if value != "PLAINTEXT" and not info.data.get("kafka_bootstrap"):
            raise ValueError("needs KAFKA_BOOTSTRAP: a broker that the hub starts itself speaks PLAINTEXT")
        return value

    @field_validator("admin_hosts")
    @classmethod
    def _are_host_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(HOST_NAME.fullmatch(one) for one in value):
            raise ValueError("must be names of hosts, without scheme, port and path")
        return value

    @field_validator("local_brokers")
    @classmethod
    def _alone_or_with_a_majority(cls, value: int) -> int:
        if value not in (1, 3):
            raise ValueError("must be 1 or 3")
        return value

    @field_validator("kafka_sasl_password", mode="before")
    @classmethod
    def _from_its_file(cls, value: object, info: ValidationInfo) -> object:
        path = info.data.get("kafka_sasl_password_file")
        if path is None:
            return value
        if (value.get_secret_value() if isinstance(value, SecretStr) else value) != "":
            raise ValueError("is set, and so is kafka_sasl_password_file: one of them is enough")
        try:
            secret = path.read_text()
        except (OSError, ValueError) as error:
            raise ValueError(f"kafka_sasl_password_file {path} cannot be read") from error
        return secret.removesuffix("\n").removesuffix("\r")

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

    @field_validator("jws_private_key_file", mode="before")
    @classmethod
    def _needed_to_sign(cls, value: object, info: ValidationInfo) -> object:
        if value not in (None, ""):
            return value
        if info.data.get("jws_sign") and info.data.get("security") == "open":  # others have a key of their own
            raise ValueError("is needed when jws_sign is on")
        return None

    @field_validator("four_eyes")
    @classmethod
    def _can_be_approved(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(value) - APPROVABLE):
            raise ValueError(f"{unknown[0]} is none of {', '.join(sorted(APPROVABLE))}")
        return value

    @field_validator("overload_none_ms")
    @classmethod
    def _above_full(cls, value: int, info: ValidationInfo) -> int:
        if value <= info.data.get("overload_full_ms", 0):
            raise ValueError("must be above overload_full_ms")
        return value

    def body_bytes_max_of(self, resource: str) -> int:
        """Return how many bytes a body of the resource may have."""
        return min(self.body_bytes_max, self.resource_body_bytes_max.get(resource, self.body_bytes_max))

    def content_versions_of(self, resource: str) -> tuple[str, ...]:
        """Return the versions of the resource's messages that are accepted."""
        return self.resource_content_versions.get(resource, self.content_versions)

    def accept_versions_of(self, resource: str) -> tuple[str, ...]:
        """Return the versions that a request's Accept may name for the resource's callbacks."""
        return self.resource_accept_versions.get(resource, self.accept_versions)

    def content_version_default_of(self, resource: str) -> str:
        """Return the version of the hub's own messages about the resource."""
        return self.resource_content_version_default.get(resource, self.content_version_default)

    @field_validator(
        "interchange_fees_file",
        "admin_cert_file",
        "admin_key_file",
        "admin_ca_file",
        "kafka_sasl_password_file",
        "kafka_ca_file",
        "kafka_cert_file",
        "kafka_key_file",
        "secure_dir",
        "gateway_identity",
        "gateway_credentials",
        "jws_keys_dir",
        mode="before",
    )
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
        """Return the broker's name of a topic of topics.yaml."""
        return self.topic_prefix + name
