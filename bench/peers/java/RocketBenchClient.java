import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;

/** The load on RocketMQ, by its own client library: batches, each acknowledged, several on the way to each queue. */
final class RocketBenchClient extends BenchClient {
  /** The topic whose settings new ones take. */
  private static final String TEMPLATE = "TBW102";
  private static final int SEND_MS = 10_000;
  /** Batches on the way to each queue: a send waits for its answer. */
  private static final int DEPTH = 2;

  private final String nameServer;
  private DefaultMQProducer producer;

  private RocketBenchClient(String nameServer) {
    this.nameServer = nameServer;
  }

  public static void main(String[] args) throws Exception {
    new RocketBenchClient(args[0]).serve();
  }

  @Override
  String run(String command, Values values) throws Exception {
    switch (command) {
      case "create": return create(values);
      // Its files are shared by all topics and go with the directory.
      case "delete": return "";
      case "produce": return produce(values);
      default: throw new IllegalArgumentException("there is no command " + command);
    }
  }

  private DefaultMQProducer producer() throws Exception {
    if (producer == null) {
      producer = new DefaultMQProducer("bench");
      producer.setNamesrvAddr(nameServer);
      producer.setSendMsgTimeout(SEND_MS);
      producer.setVipChannelEnabled(false);
      producer.start();
    }
    return producer;
  }

  private String create(Values values) throws Exception {
    long endAt = System.nanoTime() + values.number("limit") * 1_000_000L;
    for (;;) {
      try {
        producer().createTopic(TEMPLATE, values.text("topic"), values.number("partitions"), new HashMap<>());
        if (queues(values).size() == values.number("partitions")) return "";
      } catch (Exception error) {
        if (System.nanoTime() >= endAt) throw error;
      }
      if (System.nanoTime() >= endAt) throw new IllegalStateException("the broker is not ready in time");
      Thread.sleep(50);
    }
  }

  private List<MessageQueue> queues(Values values) throws Exception {
    return producer().fetchPublishMessageQueues(values.text("topic"));
  }

  private String produce(Values values) throws Exception {
    int bytes = values.number("bytes");
    byte[][] pool = pool(bytes);
    long warm = sendAll(values, pool, Long.MAX_VALUE, values.number("warmup"));
    Meter meter = new Meter();
    int count = values.number("count");
    long sent = sendAll(values, pool, count > 0 ? count : Long.MAX_VALUE, count > 0 ? 3_600_000 : values.number("duration"));
    return meter.result() + ",\"records\":" + sent + ",\"bytes\":" + sent * bytes + ",\"allBytes\":" + (sent + warm) * bytes;
  }

  private long sendAll(Values values, byte[][] pool, long maxRecords, int forMs) throws Exception {
    String topic = values.text("topic");
    int batch = Math.max(1, values.number("batch") / values.number("bytes"));
    long endAt = System.nanoTime() + forMs * 1_000_000L;
    AtomicLong taken = new AtomicLong();
    AtomicLong total = new AtomicLong();
    AtomicReference<Exception> failure = new AtomicReference<>();
    List<Thread> threads = new ArrayList<>();
    for (MessageQueue queue : queues(values)) {
      for (int i = 0; i < DEPTH; i++) {
        Thread thread = new Thread(() -> {
          try {
            while (System.nanoTime() < endAt && failure.get() == null) {
              long from = taken.getAndAdd(batch);
              if (from >= maxRecords) return;
              int some = (int) Math.min(batch, maxRecords - from);
              List<Message> messages = new ArrayList<>(some);
              for (int j = 0; j < some; j++) messages.add(new Message(topic, pool[(int) ((from + j) % pool.length)]));
              SendStatus status = producer().send(messages, queue, SEND_MS).getSendStatus();
              if (status != SendStatus.SEND_OK) throw new IllegalStateException("a send ended with " + status);
              total.addAndGet(some);
            }
          } catch (Exception error) {
            failure.compareAndSet(null, error);
          }
        });
        threads.add(thread);
        thread.start();
      }
    }
    for (Thread thread : threads) thread.join();
    if (failure.get() != null) throw failure.get();
    return total.get();
  }
}
