import { assertNever } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { ClientListener, FeatureRange } from "../metadata/records.ts";
import type { NodeId } from "../model/ids.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import {
  corrupt,
  expectVersion,
  mapOf,
  readCount,
  readList,
  readNodeId,
  readOptional,
  writeList,
  writeOptional,
} from "./codec-parts.ts";

/** The first frame of every stream: who the broker is. The same for the whole life of its process. */
export interface RegisterFrame {
  readonly type: "register";
  readonly nodeId: NodeId;
  /** Random for each start of the process. A uuid of 22 characters. */
  readonly incarnationId: string;
  /** Of the data directory. A uuid of 22 characters. */
  readonly directoryId: string;
  /** Broker epoch in the marker of the last clean shutdown; undefined: there was none. */
  readonly previousBrokerEpoch: number | undefined;
  readonly wasCleanShutdown: boolean;
  /** Where clients reach it, unless they came in on a listener that has an address of its own. */
  readonly host: string;
  readonly port: number;
  /** All listeners for clients when there are several; empty: there is one. */
  readonly listeners: readonly ClientListener[];
  /** "host:port" where other brokers reach it; empty: a broker that stands alone. */
  readonly peerEndpoint: string;
  readonly rack: string | null;
  readonly brokerHost: string | null;
  /** Levels of each feature that it supports. */
  readonly features: ReadonlyMap<string, FeatureRange>;
}

/** A checksum of the metadata at an offset; must be the same on all brokers (H19). */
export interface OffsetHash {
  readonly offset: number;
  readonly hash: number;
}

export interface HeartbeatFrame {
  readonly type: "heartbeat";
  readonly brokerEpoch: number;
  /** What the broker has applied of the metadata log. */
  readonly metadataOffset: number;
  /** Whole ms since its data loop last turned. */
  readonly loopAgeMs: number;
  /** Whole ms since its disk last did what it was asked. */
  readonly diskAgeMs: number;
  readonly wantsShutdown: boolean;
  /** Appends find no room on its data disk (KIP-631 has WantFence for such wishes). */
  readonly isDiskFull: boolean;
  readonly stateHash?: OffsetHash;
}

/** What a broker sends. */
export type BrokerFrame = RegisterFrame | HeartbeatFrame;

/** The registration is committed. */
export interface RegisteredFrame {
  readonly type: "registered";
  readonly brokerEpoch: number;
}

/** The controller does not take this broker; the stream ends behind it. */
export interface RefusedFrame {
  readonly type: "refused";
  readonly code: string;
  readonly message: string;
  /** A new stream may fare better. */
  readonly isRetriable: boolean;
}

/** The committed state of the broker: the answer to each heartbeat, and to each change. */
export interface StateFrame {
  readonly type: "state";
  readonly isFenced: boolean;
  /** It leads nothing any more that another broker could lead, and may stop. */
  readonly mayShutDown: boolean;
}

/** Ask another node; the stream ends behind it. */
export interface NotControllerFrame {
  readonly type: "notController";
  readonly leader?: PeerAddress;
}

/** What the controller sends. */
export type ControllerFrame = RegisteredFrame | RefusedFrame | StateFrame | NotControllerFrame;

/*
 * A frame of the session stream:
 *
 *   version u8, type u8, then by type (integers big-endian, text and lists behind an unsigned varint that counts them,
 *   "?" behind a byte that tells whether it is there):
 *
 *   1 register       nodeId i32, incarnationId, directoryId, previousBrokerEpoch? i64, wasCleanShutdown u8, host, port u16,
 *                    peerEndpoint, rack?, brokerHost?, features list of (name, min u16, max u16). Of a broker with
 *                    several listeners it has version 2, which a controller of release 0.4.0 does not take, and ends
 *                    with the listeners list of (name, host, port u16)
 *   2 heartbeat      brokerEpoch i64, metadataOffset i64, loopAgeMs i64, diskAgeMs i64, wantsShutdown u8,
 *                    tail u8: bit 0 a state hash follows (offset i64, hash u32), bit 1 the disk is full. With bit 1
 *                    alone 12 bytes of 0 follow: a controller of release 0.3.0 takes any tail but 0 for a state hash,
 *                    and knows none of offset 0 to compare it with
 *   3 registered     brokerEpoch i64
 *   4 refused        code, message, isRetriable u8
 *   5 state          isFenced u8, mayShutDown u8
 *   6 notController  leader? (nodeId i32, directoryId, endpoint)
 */
const VERSION = 1;
/** Of a registration with several listeners, and of nothing else. */
const LISTENERS_VERSION = 2;
const TYPES = { register: 1, heartbeat: 2, registered: 3, refused: 4, state: 5, notController: 6 } as const;
const HAS_STATE_HASH = 1;
const IS_DISK_FULL = 2;

export function encodeBrokerFrame(frame: BrokerFrame): Buffer {
  const hasListeners = frame.type === "register" && frame.listeners.length > 0;
  const out = begin(frame.type, hasListeners ? LISTENERS_VERSION : VERSION);
  switch (frame.type) {
    case "register":
      writeRegister(out, frame);
      break;
    case "heartbeat":
      out.int64(frame.brokerEpoch);
      out.int64(frame.metadataOffset);
      out.int64(Math.round(frame.loopAgeMs));
      out.int64(Math.round(frame.diskAgeMs));
      out.bool(frame.wantsShutdown);
      writeHeartbeatTail(out, frame);
      break;
    default:
      assertNever(frame);
  }
  return out.view();
}

/** @throws ProtocolError or LograftError CORRUPT_MESSAGE when the bytes are not a frame of a broker. */
export function decodeBrokerFrame(bytes: Uint8Array): BrokerFrame {
  const reader = new ByteReader(bytes);
  const hasListeners = bytes[0] === LISTENERS_VERSION && bytes[1] === TYPES.register;
  expectVersion(reader, hasListeners ? LISTENERS_VERSION : VERSION, "session frame");
  const type = reader.uint8();
  const frame = readBrokerFrame(reader, type, hasListeners);
  reader.expectEnd();
  return frame;
}

export function encodeControllerFrame(frame: ControllerFrame): Buffer {
  const out = begin(frame.type);
  switch (frame.type) {
    case "registered":
      out.int64(frame.brokerEpoch);
      break;
    case "refused":
      out.sizedUtf8(frame.code);
      out.sizedUtf8(frame.message);
      out.bool(frame.isRetriable);
      break;
    case "state":
      out.bool(frame.isFenced);
      out.bool(frame.mayShutDown);
      break;
    case "notController":
      writeOptional(out, frame.leader, ({ nodeId, directoryId, endpoint }) => {
        out.int32(nodeId);
        out.sizedUtf8(directoryId);
        out.sizedUtf8(endpoint);
      });
      break;
    default:
      assertNever(frame);
  }
  return out.view();
}

/** @throws ProtocolError or LograftError CORRUPT_MESSAGE when the bytes are not a frame of a controller. */
export function decodeControllerFrame(bytes: Uint8Array): ControllerFrame {
  const reader = new ByteReader(bytes);
  expectVersion(reader, VERSION, "session frame");
  const type = reader.uint8();
  const frame = readControllerFrame(reader, type);
  reader.expectEnd();
  return frame;
}

function begin(type: keyof typeof TYPES, version = VERSION): ByteWriter {
  const out = new ByteWriter(128);
  out.uint8(version);
  out.uint8(TYPES[type]);
  return out;
}

function writeRegister(out: ByteWriter, frame: RegisterFrame): void {
  out.int32(frame.nodeId);
  out.sizedUtf8(frame.incarnationId);
  out.sizedUtf8(frame.directoryId);
  writeOptional(out, frame.previousBrokerEpoch, (epoch) => out.int64(epoch));
  out.bool(frame.wasCleanShutdown);
  out.sizedUtf8(frame.host);
  out.uint16(frame.port);
  out.sizedUtf8(frame.peerEndpoint);
  writeOptional(out, frame.rack, (rack) => out.sizedUtf8(rack));
  writeOptional(out, frame.brokerHost, (host) => out.sizedUtf8(host));
  writeList(out, [...frame.features], ([name, { min, max }]) => {
    out.sizedUtf8(name);
    out.uint16(min);
    out.uint16(max);
  });
  if (frame.listeners.length === 0) return;
  writeList(out, frame.listeners, ({ name, host, port }) => {
    out.sizedUtf8(name);
    out.sizedUtf8(host);
    out.uint16(port);
  });
}

function writeHeartbeatTail(out: ByteWriter, { stateHash, isDiskFull }: HeartbeatFrame): void {
  const tail = (stateHash === undefined ? 0 : HAS_STATE_HASH) | (isDiskFull ? IS_DISK_FULL : 0);
  out.uint8(tail);
  if (tail === 0) return;
  out.int64(stateHash?.offset ?? 0);
  out.uint32(stateHash?.hash ?? 0);
}

function readHeartbeatTail(reader: ByteReader): Pick<HeartbeatFrame, "stateHash" | "isDiskFull"> {
  const tail = reader.uint8();
  if (tail > (HAS_STATE_HASH | IS_DISK_FULL)) throw corrupt(`${tail} is no tail of a heartbeat`, { tail });
  const isDiskFull = (tail & IS_DISK_FULL) !== 0;
  if (tail === 0) return { isDiskFull };
  const stateHash = { offset: readCount(reader), hash: reader.uint32() };
  return (tail & HAS_STATE_HASH) === 0 ? { isDiskFull } : { isDiskFull, stateHash };
}

function readBrokerFrame(reader: ByteReader, type: number, hasListeners: boolean): BrokerFrame {
  switch (type) {
    case TYPES.register:
      return readRegister(reader, hasListeners);
    case TYPES.heartbeat:
      return {
        type: "heartbeat",
        brokerEpoch: readCount(reader),
        metadataOffset: readCount(reader),
        loopAgeMs: readCount(reader),
        diskAgeMs: readCount(reader),
        wantsShutdown: reader.bool(),
        ...readHeartbeatTail(reader),
      };
    default:
      throw corrupt(`${type} is no frame that a broker sends`, { type });
  }
}

function readRegister(reader: ByteReader, hasListeners: boolean): RegisterFrame {
  return {
    type: "register",
    nodeId: readNodeId(reader),
    incarnationId: reader.sizedUtf8(),
    directoryId: reader.sizedUtf8(),
    previousBrokerEpoch: readOptional(reader, () => readCount(reader)),
    wasCleanShutdown: reader.bool(),
    host: reader.sizedUtf8(),
    port: reader.uint16(),
    peerEndpoint: reader.sizedUtf8(),
    rack: readOptional(reader, () => reader.sizedUtf8()) ?? null,
    brokerHost: readOptional(reader, () => reader.sizedUtf8()) ?? null,
    features: mapOf(
      readList(reader, () => [reader.sizedUtf8(), { min: reader.uint16(), max: reader.uint16() }] as const),
    ),
    listeners: hasListeners ? readListeners(reader) : [],
  };
}

/** There is no list of none: equal frames have equal bytes. */
function readListeners(reader: ByteReader): readonly ClientListener[] {
  const listeners = readList(reader, () => ({
    name: reader.sizedUtf8(),
    host: reader.sizedUtf8(),
    port: reader.uint16(),
  }));
  if (listeners.length === 0) throw corrupt("a registration of version 2 names no listener");
  return listeners;
}

function readControllerFrame(reader: ByteReader, type: number): ControllerFrame {
  switch (type) {
    case TYPES.registered:
      return { type: "registered", brokerEpoch: readCount(reader) };
    case TYPES.refused:
      return {
        type: "refused",
        code: reader.sizedUtf8(),
        message: reader.sizedUtf8(),
        isRetriable: reader.bool(),
      };
    case TYPES.state:
      return { type: "state", isFenced: reader.bool(), mayShutDown: reader.bool() };
    case TYPES.notController: {
      const leader = readOptional(reader, () => ({
        nodeId: readNodeId(reader),
        directoryId: reader.sizedUtf8(),
        endpoint: reader.sizedUtf8(),
      }));
      return { type: "notController", ...(leader === undefined ? {} : { leader }) };
    }
    default:
      throw corrupt(`${type} is no frame that a controller sends`, { type });
  }
}
