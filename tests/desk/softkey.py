"""A passkey made of software: answers what a browser would hand to a device, as honestly or not as a test wants."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url as packed

PRESENT, VERIFIED, SYNCED, ENROLS = 0x01, 0x04, 0x18, 0x40


class SoftKey:
    """One key pair, bound to the desk's name. ``count`` is what it says next of how often it has signed; ``synced``: its
    maker's cloud keeps a copy, as it says itself."""

    def __init__(self, origin: str, name: str = "localhost", *, synced: bool = False) -> None:
        self.origin, self.name, self.count, self.flags = origin, name, 0, SYNCED if synced else 0
        self.id = secrets.token_bytes(32)
        self._private = ec.generate_private_key(ec.SECP256R1())

    def _said(self, kind: str, options: dict[str, Any]) -> bytes:
        return json.dumps(
            {"type": f"webauthn.{kind}", "challenge": options["challenge"], "origin": self.origin}
        ).encode()

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(self.name.encode()).digest() + bytes([flags | self.flags]) + self.count.to_bytes(4, "big")

    def _credential(self, **response: bytes) -> str:
        return json.dumps(
            {
                "id": packed(self.id),
                "rawId": packed(self.id),
                "type": "public-key",
                "response": {name: packed(value) for name, value in response.items()},
                "clientExtensionResults": {},
            }
        )

    def create(self, options: dict[str, Any]) -> str:
        """The answer to an enrolment."""
        point = self._private.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        own = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(public)
        data = self._data(PRESENT | VERIFIED | ENROLS) + own
        return self._credential(
            clientDataJSON=self._said("create", options),
            attestationObject=cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data}),
        )

    def sign(self, options: dict[str, Any], *, verified: bool = True) -> str:
        """The answer to what is to be signed."""
        said, data = self._said("get", options), self._data(PRESENT | (VERIFIED if verified else 0))
        signature = self._private.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(SHA256()))
        return self._credential(clientDataJSON=said, authenticatorData=data, signature=signature)
