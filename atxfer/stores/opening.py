"""From an address to a store: ``https://host/files/`` or ``s3://bucket/prefix``."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass

from atxfer.config import TransferConfig, setting
from atxfer.stores.base import ObjectStore
from atxfer.stores.http import HttpTransport, https_context, netrc_login
from atxfer.stores.options import HttpOptions, is_address
from atxfer.stores.s3 import S3Store
from atxfer.stores.tus import TusStore

__all__ = ["OpenStore", "open_store", "open_transport"]


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
    if not is_address(address):
        raise ValueError(
            f"{address!r} is no store: write https://HOST/FILES/ or s3://BUCKET/PREFIX"
        )
    transport = open_transport(config, options, width=config.max_concurrent_uploads)
    if address.lower().startswith("s3:"):
        return _open_s3(address, transport, config, options)
    return _open_tus(address, transport, config, options)


def open_transport(config: TransferConfig, options: HttpOptions, *, width: int) -> HttpTransport:
    """Return connections to HTTP servers; nothing is sent.

    Args:
        config: Time limits.
        options: What goes with requests.
        width: How many connections to one server are kept: as many as there may be requests.

    Raises:
        ValueError: A file holds no certificate.
        OSError: A certificate can't be read.
    """
    context = https_context(options.ca_file)
    if options.cert is not None:
        pair = options.cert if isinstance(options.cert, tuple) else (options.cert, None)
        context.load_cert_chain(*pair)
    return HttpTransport(context, config, width=width)


def _open_s3(
    address: str, transport: HttpTransport, config: TransferConfig, options: HttpOptions
) -> OpenStore:
    if options.headers or options.auth is not None:
        raise ValueError(
            "headers and auth are for tus servers; S3 takes its credentials from where boto3 does"
        )
    endpoint_url = setting(options.endpoint_url, "ATXFER_ENDPOINT_URL")
    store = S3Store(address, transport, config, endpoint_url=endpoint_url)
    # Whoever named the server: the same bucket is the same place, in journals and manifests.
    host = urllib.parse.urlsplit(store.endpoint_url or "").netloc
    address = address.rstrip("/")
    place = f"{address} ({host})" if host else address
    return OpenStore(store, transport, place, f"s3:{host or address.split('/')[2]}")


def _open_tus(
    address: str, transport: HttpTransport, config: TransferConfig, options: HttpOptions
) -> OpenStore:
    if options.endpoint_url is not None:
        raise ValueError("endpoint_url is for S3; a tus server is named by its own URL")
    auth = options.auth
    if auth is None and not any(name.lower() == "authorization" for name in options.headers):
        auth = netrc_login(address)
    store = TusStore(address, transport, config, headers=options.headers, auth=auth)
    host = urllib.parse.urlsplit(store.address).netloc
    return OpenStore(store, transport, store.address, f"tus:{host}")
