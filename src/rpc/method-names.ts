/** The two methods whose messages are bytes on either lane; all others are served by grpc-js from the proto files. */
export const PRODUCE_METHOD = "/lograft.v1.ClientService/Produce";
export const FETCH_METHOD = "/lograft.v1.ClientService/Fetch";
