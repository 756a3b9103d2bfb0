"""Drives a lograft broker from the .proto files alone, with grpcio: the contract as a stranger's client sees it.

Usage: contract.py PROTO_DIR GENERATED_DIR HOST:PORT all|streams

"streams": Produce and Fetch only, on a topic "python" that is there: what the direct lane serves.

Prints one JSON object; any deviation raises. It encodes and decodes one record batch by hand, so that Produce and
Fetch are proved without our own code on this side.
"""

import json
import struct
import sys
import time
from queue import SimpleQueue

import grpc
from grpc_tools import protoc


def generate(proto_dir, out_dir):
    files = ["lograft/v1/client.proto", "lograft/v1/admin.proto"]
    code = protoc.main(
        ["protoc", f"-I{proto_dir}", f"--python_out={out_dir}", f"--grpc_python_out={out_dir}", *files]
    )
    if code != 0:
        raise SystemExit(f"protoc ended with {code}")
    sys.path.insert(0, out_dir)


def crc32c_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ 0x82F63B78 if n & 1 else n >> 1
        table.append(n)
    return table


TABLE = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def record(delta, key, value):
    body = b"\0" + varint(0) + varint(delta) + varint(len(key)) + key + varint(len(value)) + value + varint(0)
    return varint(len(body)) + body


def batch(pairs):
    now = int(time.time() * 1000)
    records = b"".join(record(i, key, value) for i, (key, value) in enumerate(pairs))
    tail = struct.pack(">hiqqqhii", 0, len(pairs) - 1, now, now, -1, -1, -1, len(pairs)) + records
    return struct.pack(">qiibI", 0, 9 + len(tail), -1, 2, crc32c(tail)) + tail


def read_varint(data, at):
    shift = result = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (result >> 1) ^ -(result & 1), at


def records_of(data):
    found, at = [], 0
    while at < len(data):
        base, length = struct.unpack_from(">qi", data, at)
        crc = struct.unpack_from(">I", data, at + 17)[0]
        assert crc32c(data[at + 21 : at + 12 + length]) == crc, "CRC of a fetched batch"
        (count,) = struct.unpack_from(">i", data, at + 57)
        position = at + 61
        for _ in range(count):
            _, position = read_varint(data, position)
            position += 1
            _, position = read_varint(data, position)
            delta, position = read_varint(data, position)
            fields = []
            for _ in range(2):
                size, position = read_varint(data, position)
                fields.append(None if size < 0 else data[position : position + size])
                position += max(0, size)
            headers, position = read_varint(data, position)
            assert headers == 0
            found.append((base + delta, fields[0], fields[1]))
        at += 12 + length
    return found


class Stream:
    """A bidirectional call with an explicit send."""

    def __init__(self, method):
        self.queue = SimpleQueue()
        self.call = method(iter(self.queue.get, None), timeout=30)

    def send(self, message):
        self.queue.put(message)

    def receive(self):
        return next(self.call)

    def finish(self):
        self.queue.put(None)


PAIRS = [(b"key-%d" % i, b"value-%d" % i) for i in range(500)]


def create_topics(admin, pb, report):
    created = admin.CreateTopics(
        pb.CreateTopicsRequest(
            topics=[
                pb.NewTopic(name="python", partitions=2, replication_factor=1),
                pb.NewTopic(name="../x", partitions=1, replication_factor=1),
            ]
        ),
        timeout=10,
    )
    report["created"] = [result.error_code for result in created.results]
    assert created.results[0].error_code == 0, created.results[0].error_message
    assert created.results[1].error_code == 17 and "../x" in created.results[1].error_message


def plain_records(client, pb, report):
    # Publish: plain records, acknowledged one by one.
    publish = Stream(client.Publish)
    plain = [pb.Record(key=b"k%d" % i, value=b"plain %d" % i) for i in range(100)]
    publish.send(pb.PublishRequest(correlation_id=7, topic="python", partition=0, records=plain))
    answer = publish.receive()
    assert answer.correlation_id == 7 and [r.offset for r in answer.results] == list(range(100)), answer
    publish.finish()
    assert list(publish.call) == []

    # Subscribe: the same records, in order.
    subscribed = [
        (r.offset, r.key, r.value)
        for message in client.Subscribe(
            pb.SubscribeRequest(topic="python", partitions=[0], beginning=True, stop_at_end=True), timeout=30
        )
        for r in message.records
    ]
    assert subscribed == [(i, b"k%d" % i, b"plain %d" % i) for i in range(100)]
    report["subscribed"] = len(subscribed)


def produce_batches(client, pb, report):
    # Produce: a batch made here. The first message tells the window.
    produce = Stream(client.Produce)
    window = produce.receive()
    assert window.correlation_id == 0 and window.window_bytes > 0
    part = pb.ProducePartition(topic="python", partition=1, leader_epoch=-1, records=batch(PAIRS))
    produce.send(pb.ProduceRequest(correlation_id=1, acks=-1, timeout_ms=5000, partitions=[part]))
    result = produce.receive().results[0]
    assert result.error_code == 0 and result.base_offset == 0 and result.durability in (2, 3), result
    report["durability"] = pb.Durability.Name(result.durability)
    damaged = bytearray(batch(PAIRS))
    damaged[-1] ^= 1
    part = pb.ProducePartition(topic="python", partition=1, leader_epoch=-1, records=bytes(damaged))
    produce.send(pb.ProduceRequest(correlation_id=2, acks=-1, timeout_ms=5000, partitions=[part]))
    refused = produce.receive().results[0]
    assert refused.error_code == 2, refused
    report["damaged"] = refused.error_message
    produce.finish()
    list(produce.call)


def fetch_batches(client, pb, report):
    # Fetch: pushed within the credit, and by a long poll.
    fetch = Stream(client.Fetch)
    fetch.send(
        pb.FetchStreamRequest(
            add=[pb.FetchPartition(topic="python", partition=1, offset=0, leader_epoch=-1, generation=3)],
            credit_bytes=1 << 20,
            options=pb.FetchOptions(max_message_bytes=1 << 20),
        )
    )
    fetched = []
    while len(fetched) < len(PAIRS):
        for data in fetch.receive().partitions:
            assert data.error_code == 0 and data.generation == 3, data
            fetched += records_of(data.records)
    assert [(key, value) for _, key, value in fetched] == PAIRS
    fetch.finish()
    report["fetched"] = len(fetched)


def unary_calls(client, pb, report):
    polled = client.FetchUnary(
        pb.FetchRequest(
            max_bytes=1 << 20,
            partitions=[
                pb.FetchUnaryPartition(topic="python", partition=1, offset=0, leader_epoch=-1, max_bytes=1 << 20)
            ],
        ),
        timeout=10,
    )
    assert [record[1:] for record in records_of(polled.partitions[0].records)] == PAIRS

    future = client.FetchUnary(
        pb.FetchRequest(
            partitions=[pb.FetchUnaryPartition(topic="python", partition=1, offset=10_000, leader_epoch=-1)]
        ),
        timeout=10,
    )
    assert future.partitions[0].error_code == 1, future
    report["future"] = future.partitions[0].error_message

    offsets = client.ListOffsets(
        pb.ListOffsetsRequest(
            partitions=[pb.ListOffsetsPartition(topic="python", partition=1, timestamp_ms=-1)]
        ),
        timeout=10,
    )
    assert offsets.results[0].offset == len(PAIRS)

    # A call whose message is wrong as a whole ends with a status, not with a crash.
    try:
        client.Subscribe(pb.SubscribeRequest(topic="no-such-topic"), timeout=10).next()
        raise AssertionError("a missing topic was subscribed")
    except grpc.RpcError as error:
        report["missing"] = [error.code().name, error.details()]
        assert error.code() == grpc.StatusCode.NOT_FOUND, error
        details = dict(error.trailing_metadata()).get("grpc-status-details-bin")
        assert details, "no typed details"


def main():
    proto_dir, out_dir, address, mode = sys.argv[1:5]
    generate(proto_dir, out_dir)
    from lograft.v1 import admin_pb2, admin_pb2_grpc, client_pb2, client_pb2_grpc

    channel = grpc.insecure_channel(address)
    client = client_pb2_grpc.ClientServiceStub(channel)
    report = {"grpcio": grpc.__version__}
    if mode == "all":
        create_topics(admin_pb2_grpc.AdminServiceStub(channel), admin_pb2, report)
        plain_records(client, client_pb2, report)
    produce_batches(client, client_pb2, report)
    fetch_batches(client, client_pb2, report)
    if mode == "all":
        unary_calls(client, client_pb2, report)
    channel.close()
    print(json.dumps(report))


main()
