"""What the stores that are reached by HTTP share: requests, answers, and what a status means.

::

    transport = HttpTransport(https_context(ca_file), config, width=config.max_concurrent_uploads)
    answer = transport.request("GET", url, wait=wait, expect=(206,), max_bytes=size)

A store built on it adds its protocol's paths, headers and credentials, and the meaning of the
statuses that it expects; sockets, time limits, cancellation, trust and foreign errors end here.
"""

from atxfer.stores.http.incoming import Incoming
from atxfer.stores.http.statuses import error_for_status
from atxfer.stores.http.transport import HttpTransport, Response, https_context, netrc_login

__all__ = [
    "HttpTransport",
    "Incoming",
    "Response",
    "error_for_status",
    "https_context",
    "netrc_login",
]
