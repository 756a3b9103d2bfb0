import { byteStreamContract, CONTRACT_MAX_MESSAGE_BYTES } from "../../contract/byte-stream.ts";
import { openLaneChannel, startLaneServer, type LaneName } from "./lane-harness.ts";

const LANES: readonly LaneName[] = ["direct", "grpc-js"];

for (const clientLane of LANES) {
  for (const serverLane of LANES) {
    byteStreamContract(`${clientLane} client, ${serverLane} server`, {
      async start(handlers) {
        const server = await startLaneServer(serverLane, {
          handlers,
          maxMessageBytes: CONTRACT_MAX_MESSAGE_BYTES,
        });
        const channel = openLaneChannel(clientLane, server.port, CONTRACT_MAX_MESSAGE_BYTES);
        return { channel, cut: () => server.cutConnections(), close: () => server.close() };
      },
    });
  }
}
