"""Whom a secured connection trusts, and as whom it comes."""

from __future__ import annotations

import ssl
from typing import Any

from flowlang.exceptions import FlowExecutionError


def context_of(verify: Any) -> ssl.SSLContext:
    """The TLS context for the setting `verify`. It reads files, so it belongs into a thread.

    Raises FlowExecutionError (`config`) for a file that is missing or no PEM file.
    """
    import httpcore2

    given = verify if isinstance(verify, dict) else {"ca_file": verify} if isinstance(verify, str) else {}
    try:
        if given.get("ca_file"):
            context = ssl.create_default_context(cafile=given["ca_file"])
        elif verify is False:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            context = httpcore2.default_ssl_context()
        if given.get("cert_file"):
            context.load_cert_chain(given["cert_file"], given.get("key_file"), given.get("key_password") or "")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        files = ", ".join(str(given[each]) for each in ("ca_file", "cert_file", "key_file") if given.get(each))
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise FlowExecutionError(f"`verify`: {files}: {said}", error_class="config") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
