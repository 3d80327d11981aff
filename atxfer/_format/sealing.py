"""A chunk and its sealed form: AES-256-GCM, bound to its place in its file (docs/format.md)."""

from __future__ import annotations

from atxfer._crypto.primitives import GCM_NONCE, GCM_TAG, Aes256Gcm, CryptoError, random_bytes
from atxfer._format.manifest import FORMAT_VERSION, MAX_CHUNKS, is_file_id
from atxfer.errors import ChunkCorrupt
from atxfer.model import Chunk

__all__ = ["SEAL_OVERHEAD", "Sealer"]

SEAL_OVERHEAD = GCM_NONCE + GCM_TAG


class Sealer:
    """Seals and opens the chunks of one file.

    The nonce is random, never derived: an upload that is resumed after the file changed would
    otherwise seal two texts under one nonce, which betrays both. At most 2**24 chunks keep the odds
    of a chance repetition below 2**-48.

    Args:
        file_key: 32 bytes, of this file alone.
        file_id: As in the manifest.
        chunks: How many chunks the file has.

    Raises:
        ValueError: There is no such file id, key or number of chunks.

    Threads: may be shared.
    """

    def __init__(self, file_key: bytes, file_id: str, chunks: int) -> None:
        if not is_file_id(file_id) or not 0 <= chunks <= MAX_CHUNKS:
            raise ValueError("no file id, or too many chunks")
        try:
            self._cipher = Aes256Gcm(file_key)
        except CryptoError as error:
            raise ValueError(str(error)) from error
        self._file_id = file_id
        self._chunks = chunks

    def __repr__(self) -> str:
        return f"<Sealer of {self._chunks} chunks of {self._file_id}>"

    def seal(self, chunk: Chunk) -> Chunk:
        """Return a chunk as nonce, ciphertext and tag; each call makes another.

        Raises:
            ValueError: The file has no chunk of this index.
        """
        if not 0 <= chunk.index < self._chunks:
            raise ValueError(f"chunk {chunk.index} of {self._chunks}")
        nonce = random_bytes(GCM_NONCE)
        return Chunk(
            chunk.index, nonce + self._cipher.seal(nonce, chunk.data, self._place(chunk.index))
        )

    def open(self, chunk: Chunk) -> Chunk:
        """Return the plain chunk.

        Raises:
            ChunkCorrupt: It is not what was sealed for this place in this file.
        """
        nonce, sealed = chunk.data[:GCM_NONCE], chunk.data[GCM_NONCE:]
        try:
            return Chunk(chunk.index, self._cipher.open(nonce, sealed, self._place(chunk.index)))
        except CryptoError as error:
            raise ChunkCorrupt(
                "the chunk is not what was uploaded as this chunk of this file",
                file_id=self._file_id,
                chunk=chunk.index,
            ) from error

    def _place(self, index: int) -> bytes:
        """Return what is authenticated beside the content; no part of it can hold a colon."""
        return f"atxfer:{FORMAT_VERSION}:{self._file_id}:{index}:{self._chunks}".encode("ascii")
