/** What clients sent to, and were sent of, one topic since it was first used on this broker. Plain counts. */
export class TopicTraffic {
  recordsIn = 0;
  bytesIn = 0;
  /** By offsets: records that compaction took away are counted as sent. */
  recordsOut = 0;
  bytesOut = 0;

  /** An append that a client asked for; not of a batch that was there already. */
  received(records: number, bytes: number): void {
    this.recordsIn += records;
    this.bytesIn += bytes;
  }

  /** A read for a client. */
  sent(records: number, bytes: number): void {
    // A fetch in the middle of a batch gets the whole of it.
    if (records > 0) this.recordsOut += records;
    this.bytesOut += bytes;
  }
}
