"""A chunk and its sealed form: AES-256-GCM, bound to its place in its file (docs/format.md)."""

from __future__ import annotations

from atxfer._buffers import Buffer, Frame
from atxfer._crypto.primitives import GCM_NONCE, GCM_TAG, Aes256Gcm, CryptoError, random_bytes
from atxfer._format.manifest import FORMAT_VERSION, MAX_CHUNKS, is_file_id
from atxfer.errors import ChunkCorrupt
from atxfer.model import Chunk

__all__ = ["SEAL_FRAME", "SEAL_OVERHEAD", "Sealer"]

SEAL_FRAME = Frame(GCM_NONCE, GCM_TAG)
SEAL_OVERHEAD = SEAL_FRAME.before + SEAL_FRAME.after


class Sealer:
    """Seals and opens the chunks of one file.

    The nonce is random, never derived: an upload that is resumed after the file changed would
    otherwise seal two texts under one nonce, which betrays both. A chunk that comes with a nonce is
    sealed by that one; its caller vouches that no other text ever was. At most 2**24 chunks keep
    the odds of a chance repetition below 2**-48.

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
        """Return a chunk as nonce, ciphertext and tag; without a nonce, each call makes another.

        One that has a block of :data:`SEAL_FRAME` is sealed where it lies, and is plain no more.

        Raises:
            ValueError: The file has no chunk of this index.
        """
        if not 0 <= chunk.index < self._chunks:
            raise ValueError(f"chunk {chunk.index} of {self._chunks}")
        size = len(chunk.data)
        nonce = chunk.nonce if chunk.nonce is not None else random_bytes(GCM_NONCE)
        block = chunk.block if chunk.block is not None else _framed(chunk.data)
        block[:GCM_NONCE] = nonce
        plain = SEAL_FRAME.within(block, size)
        tag = self._cipher.seal_in_place(nonce, plain, self._place(chunk.index))
        block[GCM_NONCE + size : SEAL_OVERHEAD + size] = tag
        return Chunk(chunk.index, block[: SEAL_OVERHEAD + size], block, nonce)

    def open(self, chunk: Chunk) -> Chunk:
        """Return the plain chunk; one that lies in a writable block is opened where it lies.

        Raises:
            ChunkCorrupt: It is not what was sealed for this place in this file.
        """
        block = memoryview(chunk.data)
        if block.readonly:
            block = memoryview(bytearray(block))
        nonce, plain, tag = block[:GCM_NONCE], block[GCM_NONCE:-GCM_TAG], block[-GCM_TAG:]
        try:
            self._cipher.open_in_place(nonce, plain, tag, self._place(chunk.index))
            return Chunk(chunk.index, plain)
        except CryptoError as error:
            raise ChunkCorrupt(
                "the chunk is not what was uploaded as this chunk of this file",
                file_id=self._file_id,
                chunk=chunk.index,
            ) from error

    def _place(self, index: int) -> bytes:
        """Return what is authenticated beside the content; no part of it can hold a colon."""
        return f"atxfer:{FORMAT_VERSION}:{self._file_id}:{index}:{self._chunks}".encode("ascii")


def _framed(data: Buffer) -> memoryview:
    """Return a copy of a chunk with room around it."""
    block = SEAL_FRAME.block(len(data))
    SEAL_FRAME.within(block, len(data))[:] = data
    return block
