"""Every way of being wrong, as one tree.

    LedgerError
      InvalidEvidence   422  EV..  the bytes or the statement cannot be accepted as they are
      Conflict          409  CF..  right in itself, but something else was first
      NotFound          404  NF..
      Unauthenticated   401  AU..  who asks may not
      Forbidden         403  AU..
      TooLarge          413  LM..  too large, too much at once, or of a kind that is not read
      BacklogFull       429  LM..
      UnsupportedMedia  415  LM..
      ChainError        503  CH..  the chain or a node of it
      StorageError      503  ST..  bytes could not be stored or read
      RelayError          -  RL..  a destination
      ConfigError         -  CO..  settings, keys, job plans

The class docstring is the message; the fields say what was found and what was expected. `code`
and `status` (HTTP) are class attributes. Adapters translate foreign exceptions into these.
"""

from __future__ import annotations

import inspect
from typing import ClassVar


class LedgerError(Exception):
    """Something this system names went wrong."""

    code: ClassVar[str] = "LE00"
    status: ClassVar[int] = 500

    def __init__(self, detail: str = "", **fields: object) -> None:
        """`detail` adds to the class docstring; `fields` are typed facts (found, expected, ...)."""
        self.detail = detail
        self.fields = fields
        super().__init__(self.message)

    @classmethod
    def title(cls) -> str:
        """Return the first sentence of the class docstring: the same for each occurrence."""
        return inspect.cleandoc(cls.__doc__ or cls.__name__).split("\n", 1)[0]

    @property
    def message(self) -> str:
        """Return title, detail and fields as one line a person can act on."""
        facts = ", ".join(f"{n} {getattr(v, 'told', v)}" for n, v in self.fields.items())
        text = self.title()
        if self.detail:
            text += f" {self.detail}"
        return f"{text} ({facts})" if facts else text


class InvalidEvidence(LedgerError):
    """The evidence cannot be accepted as it is."""

    code = "EV00"
    status = 422


class FloatInHashedPlace(InvalidEvidence):
    """A floating-point number stands where bytes are hashed; use a scaled integer with a unit."""

    code = "EV01"


class UnknownField(InvalidEvidence):
    """The document does not have the published shape."""

    code = "EV02"


class DigestMismatch(InvalidEvidence):
    """The bytes received are not the bytes that the statement names."""

    code = "EV03"


class MissingFile(InvalidEvidence):
    """A file that the statement names was not received."""

    code = "EV04"


class ExtraFile(InvalidEvidence):
    """A file was received that the statement does not name."""

    code = "EV05"


class UnsafePath(InvalidEvidence):
    """A path is not a plain relative POSIX path in normalised UTF-8."""

    code = "EV06"


class DuplicatePath(InvalidEvidence):
    """Two files of one dataset claim the same place."""

    code = "EV07"


class MalformedJson(InvalidEvidence):
    """The bytes are not the JSON that was asked for (RFC 8259, no duplicate names, bounded depth)."""

    code = "EV08"


class IntegerTooLarge(InvalidEvidence):
    """An integer lies beyond 2^53 - 1, where JSON readers disagree."""

    code = "EV09"


class TruncatedBody(InvalidEvidence):
    """The body ended before what it promised had arrived."""

    code = "EV10"
    status = 400


class MissingSignature(InvalidEvidence):
    """A device signature is required and none was given."""

    code = "EV11"


class BadSignature(InvalidEvidence):
    """The signature does not verify under the device's key."""

    code = "EV12"


class UnknownDevice(InvalidEvidence):
    """The device key is not registered on chain for this asset."""

    code = "EV13"


class BadChunkSize(InvalidEvidence):
    """The chunk size is not one of 64 KiB, 1 MiB, 4 MiB."""

    code = "EV14"


class DetectorNotLive(InvalidEvidence):
    """The detector is not registered on chain, or was revoked."""

    code = "EV15"


class LocationNotAllowed(InvalidEvidence):
    """The object-store location is not on the list of allowed ones."""

    code = "EV16"


class UnknownAsset(InvalidEvidence):
    """No live version of this asset is registered on chain."""

    code = "EV17"


class WindowOutOfRange(InvalidEvidence):
    """The window of the statement is empty, reversed, in the future, or too old."""

    code = "EV18"


class BadSample(InvalidEvidence):
    """The raw samples cannot be scored: not finite, wrong columns, or wrong number of rows."""

    code = "EV19"


class EmptyDataset(InvalidEvidence):
    """A statement must name at least one file."""

    code = "EV20"


class NoJobPlan(InvalidEvidence):
    """No job plan covers this asset type and failure mode."""

    code = "EV21"


class BadMultipart(InvalidEvidence):
    """The multipart body is malformed, compressed, or its parts come in another order."""

    code = "EV22"
    status = 400


class BelowThreshold(InvalidEvidence):
    """The score does not exceed the threshold: there is nothing to ask for."""

    code = "EV23"


class Conflict(LedgerError):
    """Something else was first."""

    code = "CF00"
    status = 409


class IllegalMove(Conflict):
    """The lifecycle has no such move from the present state."""

    code = "CF01"


class SequenceFork(Conflict):
    """This device already sealed other bytes under this sequence number."""

    code = "CF02"


class DatasetReused(Conflict):
    """The same dataset was already sealed under another statement."""

    code = "CF03"


class NonceTaken(Conflict):
    """The signer's nonce already belongs to another transaction."""

    code = "CF04"


class CursorMoved(Conflict):
    """Somebody else moved the cursor; the step is given up and begun again."""

    code = "CF05"


class NotFound(LedgerError):
    """There is no such thing here."""

    code = "NF00"
    status = 404


class Unauthenticated(LedgerError):
    """A bearer token is needed and none that is valid was given."""

    code = "AU01"
    status = 401


class Forbidden(LedgerError):
    """The token's role does not allow this call."""

    code = "AU02"
    status = 403


class TooLarge(LedgerError):
    """The body, a part of it, or the statement is larger than the limit."""

    code = "LM01"
    status = 413


class BacklogFull(LedgerError):
    """Too much evidence waits to be anchored; try again later."""

    code = "LM02"
    status = 429


class UnsupportedMedia(LedgerError):
    """The content type or content encoding is not one that this call reads."""

    code = "LM03"
    status = 415


class ChainError(LedgerError):
    """The chain or a node of it failed."""

    code = "CH00"
    status = 503


class NodeUnreachable(ChainError):
    """No node of the chain answers."""

    code = "CH01"


class SendRejected(ChainError):
    """The node refused the transaction."""

    code = "CH02"


class CallReverted(ChainError):
    """The contract would refuse this call."""

    code = "CH03"
    status = 409


class ReorgTooDeep(ChainError):
    """The chain was rewritten below what was held final."""

    code = "CH04"


class WrongChain(ChainError):
    """The node serves another chain, or another contract, than the one configured."""

    code = "CH05"


class BadProof(ChainError):
    """A header, seal or trie proof does not verify."""

    code = "CH06"


class BadAnswer(ChainError):
    """A node's answer does not have the shape that the protocol gives it."""

    code = "CH07"


class NodeFailed(ChainError):
    """A node of the network does not come up, or does not make blocks."""

    code = "CH20"


class StorageError(LedgerError):
    """Bytes could not be stored or read."""

    code = "ST00"
    status = 503


class BrokenLog(StorageError):
    """A log is damaged before its end: this is no torn write, and nothing is cut off by guess."""

    code = "ST20"


class InUse(StorageError):
    """Another process works in this folder."""

    code = "ST21"


class RelayError(LedgerError):
    """A destination did not take a delivery."""

    code = "RL00"


class DestinationRefused(RelayError):
    """The destination refused for good; a person must look."""

    code = "RL01"


class DestinationDown(RelayError):
    """The destination did not answer, or asks to come back later."""

    code = "RL02"


class ConfigError(LedgerError):
    """The configuration is not usable."""

    code = "CO00"


class BadJobPlan(ConfigError):
    """A job plan file does not have the published shape."""

    code = "CO01"


class BadKeystore(ConfigError):
    """A keystore cannot be opened with the password given."""

    code = "CO02"


class BadNetwork(ConfigError):
    """The network file or the wanted network does not have a shape that can run."""

    code = "CO20"


class NodeBinaryMissing(ConfigError):
    """The program of a node is not there, or is not a version that is fit."""

    code = "CO21"
