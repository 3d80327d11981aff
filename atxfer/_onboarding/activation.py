"""The first keys of an atSign (facts §4).

Rules of this file:

1. Nobody else has these keys: they are on the disk before the server learns of them, under a name
   that tells that they are not in use yet.
2. Each step may be repeated. A run that ends anywhere is finished by the next one, with the same
   keys: it finds out from the server how far the last one came.
3. The secret is given up last of all, when a login has shown that the keys work.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Optional

from atxfer._crypto.atkeys import AtKeys
from atxfer._crypto.keyfile import publish
from atxfer._crypto.primitives import cram_digest
from atxfer._net.connection import AtConnection
from atxfer._onboarding.site import Site
from atxfer.atprotocol.atkey import AtKey
from atxfer.atprotocol.errors import KeyNotFound, NotActivated, Unauthenticated
from atxfer.atprotocol.verbs import Cram, Delete, Update
from atxfer.errors import AlreadyActivated, LoginRefused

__all__ = ["Activation"]

_PKAM_KEY = AtKey.parse("privatekey:at_pkam_publickey")
_SECRET = AtKey.parse("privatekey:at_secret")


class Activation:
    """One atSign's activation.

    Args:
        site: Whose, and where.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._path = site.key_path
        self._draft = self._path.with_name(f"{self._path.name}.new")

    def run(self, secret: str) -> Path:
        """Activate the atSign, or finish what an earlier run began; return its key file.

        Raises:
            FileExistsError: There is a key file; nothing was asked or changed.
            AlreadyActivated: Somebody has activated it, with other keys.
            LoginRefused: This is not its secret.
            TransferError: As :meth:`AtConnection.ask` does.
            OSError: The key file can't be written.
        """
        if self._path.exists():
            return self._published_before()
        keys = AtKeys.read(self._draft, self._site.atsign) if self._draft.exists() else None
        with self._site.connected() as connection:
            if keys is None or not self._is_known(connection, keys):
                keys = self._introduce(connection, keys, secret)
            self._finish(connection, keys)
        publish(self._draft, self._path)
        return self._path

    def _published_before(self) -> Path:
        """Return the file, if a run ended between its having both names and its having one."""
        if self._draft.exists() and self._draft.samefile(self._path):
            self._draft.unlink()
            return self._path
        raise FileExistsError(errno.EEXIST, "there is a key file already", str(self._path))

    def _is_known(self, connection: AtConnection, keys: AtKeys) -> bool:
        """Log in with keys of an earlier run, if the server has learnt of them."""
        try:
            connection.log_in(keys, self._site.wait, self._site.config.request_timeout)
        except (NotActivated, Unauthenticated):
            return False
        return True

    def _introduce(self, connection: AtConnection, keys: Optional[AtKeys], secret: str) -> AtKeys:
        """Prove the secret, and tell the server how to check logins from now on."""
        self._check_new(connection, keys)
        self._prove(connection, secret)
        if keys is None:
            keys = AtKeys.generate(self._site.atsign)
            keys.write(self._draft)
        self._site.ask(connection, Update(_PKAM_KEY, keys.pkam_public))
        return keys

    def _check_new(self, connection: AtConnection, keys: Optional[AtKeys]) -> None:
        there = self._site.public_key(connection)
        if there is None or (keys is not None and there == keys.encryption_public):
            return
        activated = f"{self._site.atsign} is activated already"
        if keys is None:
            raise AlreadyActivated(activated)
        raise AlreadyActivated(
            f"{activated}, and not with the keys in {self._draft}",
            remedy=f"{AlreadyActivated.default_remedy} That file is of no use: remove it.",
        )

    def _prove(self, connection: AtConnection, secret: str) -> None:
        try:
            connection.prove(
                lambda challenge: Cram(cram_digest(secret, challenge)),
                self._site.wait,
                self._site.config.request_timeout,
            )
        except Unauthenticated as error:
            raise LoginRefused(
                f"the server of {self._site.atsign} doesn't accept this secret",
                remedy="Check it: the registrar of the atSign tells it, for this purpose alone.",
            ) from error
        except KeyNotFound as error:
            raise LoginRefused(
                f"the server of {self._site.atsign} accepts no secret any more",
                remedy="An activation has used it up; the registrar can reset the atSign.",
            ) from error

    def _finish(self, connection: AtConnection, keys: AtKeys) -> None:
        public_key = AtKey.public("publickey", self._site.atsign, "")
        self._site.ask(connection, Update(public_key, keys.encryption_public))
        with self._site.connected(keys):
            pass  # these keys do open the server
        self._site.ask(connection, Delete(_SECRET))
