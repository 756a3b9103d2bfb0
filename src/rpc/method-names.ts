/** The two methods of the client port whose messages are bytes on either lane; its others are grpc-js by the proto files. */
export const PRODUCE_METHOD = "/lograft.v1.ClientService/Produce";
export const FETCH_METHOD = "/lograft.v1.ClientService/Fetch";

/** Heartbeats of a group member, over grpc-js; `membership-codec.ts` has its messages. */
export const MEMBERSHIP_METHOD = "/lograft.v1.GroupService/Membership";

/** The methods of the peer port. All have codecs of our own, and one handler serves each on both lanes. */
export const HELLO_METHOD = "/lograft.v1.PeerService/Hello";
export const RAFT_METHOD = "/lograft.v1.PeerService/Raft";
export const SESSION_METHOD = "/lograft.v1.PeerService/Session";
export const REPLICATE_METHOD = "/lograft.v1.PeerService/Replicate";
export const CONTROL_METHOD = "/lograft.v1.PeerService/Control";
