"""Finding logs in blocks: by the header's bloom filter first, then log by log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eth.abc import LogAPI
from eth_bloom.bloom import BloomFilter

from validators.network.embedded.blocks import Block
from validators.network.embedded.params import LogFilter
from validators.network.embedded.shapes import logs_json


def matching(block: Block, wanted: LogFilter) -> Iterator[dict[str, Any]]:
    """Yield the logs of a block that are wanted, as JSON."""
    if not block.mined or not _possible(block, wanted):
        return
    for mined in block.mined:
        pairs = zip(mined.receipt.logs, logs_json(block, mined), strict=True)
        yield from (shape for entry, shape in pairs if _wanted(entry, wanted))


def _possible(block: Block, wanted: LogFilter) -> bool:
    bloom = BloomFilter(block.header.bloom)
    if wanted.addresses and not any(address in bloom for address in wanted.addresses):
        return False
    return all(
        options is None or any(topic.to_bytes(32, "big") in bloom for topic in options)
        for options in wanted.topics
    )


def _wanted(entry: LogAPI, wanted: LogFilter) -> bool:
    if wanted.addresses and entry.address not in wanted.addresses:
        return False
    if len(wanted.topics) > len(entry.topics):
        return False
    pairs = zip(wanted.topics, entry.topics, strict=False)
    return all(options is None or topic in options for options, topic in pairs)
