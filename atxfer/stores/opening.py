"""From an address to a store: ``https://host/files/`` or ``s3://bucket/prefix``.

What a store needs is imported when one of its kind is opened: requests, and botocore for S3.
"""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Optional, Union

from atxfer.config import TransferConfig

if TYPE_CHECKING:
    from atxfer.stores.base import ObjectStore
    from atxfer.stores.http import HttpTransport
    from atxfer.stores.tus.credentials import Auth

__all__ = ["HttpOptions", "OpenStore", "is_address", "open_store"]

StrPath = Union[str, "os.PathLike[str]"]
Cert = Union[StrPath, tuple[StrPath, StrPath]]

_SCHEMES = ("http", "https", "s3")


@dataclass(frozen=True)
class HttpOptions:
    """What goes with requests to an HTTP store; named as requests does it.

    Attributes:
        ca_file: Certificate authorities to trust instead of the system's.
        cert: A client certificate: a PEM file with its key, or two files.
        headers: Sent with each request to a tus server.
        auth: Name and password for a tus server, or what returns the value of ``Authorization``.
        endpoint_url: Of an S3 server other than Amazon's.
    """

    ca_file: Optional[StrPath] = None
    cert: Optional[Cert] = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth: Optional[Auth] = field(default=None, repr=False)
    endpoint_url: Optional[str] = None


@dataclass(frozen=True)
class OpenStore:
    """A store, and how it is reached.

    Attributes:
        store: The store.
        transport: Its connections.
        address: What names it, to people; without credentials.
        server: What tells the server from others, for the permits of all requests to it.
    """

    store: ObjectStore
    transport: HttpTransport
    address: str
    server: str


def is_address(text: str) -> bool:
    """Return whether this is meant to be the address of an HTTP store, not an atSign."""
    scheme, mark, _ = text.partition("://")
    return bool(mark) and scheme.lower() in _SCHEMES


def open_store(address: str, config: TransferConfig, options: HttpOptions) -> OpenStore:
    """Return the store at an address; nothing is sent.

    Args:
        address: ``https://host/files/`` of a tus 1.0 server, or ``s3://bucket/prefix``.
        config: Time limits, and how many connections are kept.
        options: What goes with its requests.

    Raises:
        ValueError: It is no such address, or an option doesn't fit it.
        NotSupported: A package is missing.
        AccessDenied: The configuration of the S3 account can't be read.
        OSError: A certificate can't be read.
    """
    from atxfer.stores.http import HttpTransport, https_context

    if not is_address(address):
        raise ValueError(
            f"{address!r} is no store: write https://HOST/FILES/ or s3://BUCKET/PREFIX"
        )
    context = https_context(options.ca_file)
    if options.cert is not None:
        pair = options.cert if isinstance(options.cert, tuple) else (options.cert, None)
        context.load_cert_chain(*pair)
    transport = HttpTransport(context, config, width=config.max_concurrent_uploads)
    if address.lower().startswith("s3:"):
        return _open_s3(address, transport, config, options)
    return _open_tus(address, transport, config, options)


def _open_s3(
    address: str, transport: HttpTransport, config: TransferConfig, options: HttpOptions
) -> OpenStore:
    from atxfer.stores.s3 import S3Store

    if options.headers or options.auth is not None:
        raise ValueError(
            "headers and auth are for tus servers; S3 takes its credentials from where boto3 does"
        )
    store = S3Store(address, transport, config, endpoint_url=options.endpoint_url)
    host = urllib.parse.urlsplit(options.endpoint_url or "").netloc or address.split("/")[2]
    return OpenStore(store, transport, address, f"s3:{host.rpartition('@')[2]}")


def _open_tus(
    address: str, transport: HttpTransport, config: TransferConfig, options: HttpOptions
) -> OpenStore:
    from atxfer.stores.http import netrc_login
    from atxfer.stores.tus import TusStore

    if options.endpoint_url is not None:
        raise ValueError("endpoint_url is for S3; a tus server is named by its own URL")
    auth = options.auth
    if auth is None and not any(name.lower() == "authorization" for name in options.headers):
        auth = netrc_login(address)
    store = TusStore(address, transport, config, headers=options.headers, auth=auth)
    host = urllib.parse.urlsplit(store.address).netloc
    return OpenStore(store, transport, store.address, f"tus:{host}")
