import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** The load on Kafka, by Kafka's own client library. */
final class KafkaBenchClient extends BenchClient {
  private static final Duration POLL = Duration.ofMillis(100);
  private static final int STRIDE = 256;

  private final String servers;
  private Admin admin;

  private KafkaBenchClient(String servers) {
    this.servers = servers;
  }

  public static void main(String[] args) throws Exception {
    new KafkaBenchClient(args[0]).serve();
  }

  @Override
  String run(String command, Values values) throws Exception {
    switch (command) {
      case "create": return create(values);
      case "delete": return delete(values);
      case "leaders": return leaders(values);
      case "produce": return produce(values);
      case "consume": return consume(values);
      case "tail": return tail(values);
      case "e2e": return endToEnd(values);
      case "steady": return steady(values);
      case "first": return first(values);
      default: throw new IllegalArgumentException("there is no command " + command);
    }
  }

  private Admin admin() {
    if (admin == null) {
      Properties settings = new Properties();
      settings.put("bootstrap.servers", servers);
      settings.put("reconnect.backoff.max.ms", "100");
      admin = Admin.create(settings);
    }
    return admin;
  }

  /** Waits for all nodes, makes the topic, waits until each partition has a leader. */
  private String create(Values values) throws Exception {
    long endAt = System.nanoTime() + values.number("limit") * 1_000_000L;
    until(endAt, () -> admin().describeCluster().nodes().get(2, TimeUnit.SECONDS).size() >= values.number("nodes"));
    int replicas = values.number("replicas");
    int partitions = values.number("partitions");
    NewTopic topic = new NewTopic(values.text("topic"), partitions, (short) replicas)
        .configs(Map.of("min.insync.replicas", replicas > 1 ? "2" : "1"));
    admin().createTopics(List.of(topic)).all().get();
    until(endAt, () -> {
      List<TopicPartitionInfo> found = partitionsOf(topic.name());
      return found.size() == partitions && found.stream().allMatch((one) -> one.leader() != null);
    });
    return "";
  }

  private String delete(Values values) throws Exception {
    admin().deleteTopics(List.of(values.text("topic"))).all().get();
    return "";
  }

  private String leaders(Values values) throws Exception {
    List<String> ids = new ArrayList<>();
    for (TopicPartitionInfo one : partitionsOf(values.text("topic"))) ids.add(String.valueOf(one.leader().id()));
    int controller = admin().describeMetadataQuorum().quorumInfo().get().leaderId();
    return "\"leaders\":[" + String.join(",", ids) + "],\"controller\":" + controller;
  }

  private List<TopicPartitionInfo> partitionsOf(String topic) throws Exception {
    return admin().describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions();
  }

  private String produce(Values values) throws Exception {
    String topic = values.text("topic");
    int bytes = values.number("bytes");
    byte[][] pool = pool(bytes);
    AtomicReference<Exception> failure = new AtomicReference<>();
    Callback callback = (metadata, error) -> {
      if (error != null) failure.compareAndSet(null, error);
    };
    List<KafkaProducer<byte[], byte[]>> producers = producers(values);
    try {
      touch(producers, topic, values.number("partitions"), pool[0]);
      long warm = sendAll(producers, topic, pool, callback, Long.MAX_VALUE, values.number("warmup"), failure);
      Meter meter = new Meter();
      int count = values.number("count");
      long sent = sendAll(producers, topic, pool, callback, count > 0 ? count : Long.MAX_VALUE,
          count > 0 ? 3_600_000 : values.number("duration"), failure);
      String measured = meter.result();
      long all = (sent + warm) * bytes;
      return measured + ",\"records\":" + sent + ",\"bytes\":" + sent * bytes + ",\"allBytes\":" + all;
    } finally {
      for (KafkaProducer<byte[], byte[]> producer : producers) producer.close();
    }
  }

  /** Each producer sends from a thread of its own as fast as it can, and all is acknowledged in the end. */
  private static long sendAll(List<KafkaProducer<byte[], byte[]>> producers, String topic, byte[][] pool,
      Callback callback, long maxRecords, int forMs, AtomicReference<Exception> failure) throws Exception {
    long endAt = System.nanoTime() + forMs * 1_000_000L;
    AtomicLong total = new AtomicLong();
    List<Thread> threads = new ArrayList<>();
    for (KafkaProducer<byte[], byte[]> producer : producers) {
      Thread thread = new Thread(() -> {
        long sent = 0;
        try {
          while (sent < maxRecords && System.nanoTime() < endAt && failure.get() == null) {
            for (int i = 0; i < STRIDE && sent < maxRecords; i++) {
              producer.send(new ProducerRecord<>(topic, pool[(int) (sent % pool.length)]), callback);
              sent++;
            }
          }
          producer.flush();
        } catch (Exception error) {
          failure.compareAndSet(null, error);
        }
        total.addAndGet(sent);
      });
      threads.add(thread);
      thread.start();
    }
    for (Thread thread : threads) thread.join();
    if (failure.get() != null) throw failure.get();
    return total.get();
  }

  private String consume(Values values) throws Exception {
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(values)) {
      long[] warm = new long[2];
      if (values.number("warmup") > 0) warm = passes(consumer, values.number("count"), values.number("warmup"));
      Meter meter = new Meter();
      long[] read = passes(consumer, values.number("count"), values.number("duration"));
      String measured = meter.result();
      return measured + ",\"records\":" + read[0] + ",\"bytes\":" + read[1] + ",\"allBytes\":" + (read[1] + warm[1]);
    }
  }

  /** Reads so many records from the beginning, again and again for a time, or once when it is 0: records and bytes. */
  private static long[] passes(KafkaConsumer<byte[], byte[]> consumer, long count, int forMs) {
    long endAt = forMs == 0 ? Long.MAX_VALUE : System.nanoTime() + forMs * 1_000_000L;
    long[] total = new long[2];
    do {
      consumer.seekToBeginning(consumer.assignment());
      long records = 0;
      while (records < count && System.nanoTime() < endAt) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
          total[1] += record.value().length;
          records++;
        }
      }
      total[0] += records;
    } while (forMs > 0 && System.nanoTime() < endAt);
    return total;
  }

  private String tail(Values values) throws Exception {
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(values)) {
      seekToEnd(consumer);
      event("ready");
      long limitAt = System.nanoTime() + values.number("limit") * 1_000_000L;
      long startAt = Long.MAX_VALUE;
      long endAt = Long.MAX_VALUE;
      Meter meter = null;
      long records = 0;
      long bytes = 0;
      while (System.nanoTime() < Math.min(endAt, limitAt)) {
        ConsumerRecords<byte[], byte[]> batch = consumer.poll(POLL);
        long now = System.nanoTime();
        if (startAt == Long.MAX_VALUE && !batch.isEmpty()) {
          startAt = now + values.number("warmup") * 1_000_000L;
          endAt = startAt + values.number("duration") * 1_000_000L;
        }
        if (now < startAt) continue;
        if (meter == null) meter = new Meter();
        for (ConsumerRecord<byte[], byte[]> record : batch) {
          bytes += record.value().length;
          records++;
        }
      }
      String measured = meter == null ? "" : meter.result() + ",";
      return measured + "\"records\":" + records + ",\"bytes\":" + bytes;
    }
  }

  private String endToEnd(Values values) throws Exception {
    String topic = values.text("topic");
    int rate = values.number("rate");
    byte[][] pool = pool(Math.max(8, values.number("bytes")));
    long warm = (long) rate * values.number("warmup") / 1000;
    long total = warm + (long) rate * values.number("duration") / 1000;
    AtomicReference<Exception> failure = new AtomicReference<>();
    AtomicLong measuredFrom = new AtomicLong(Long.MAX_VALUE);
    Histogram histogram = new Histogram();
    try (KafkaProducer<byte[], byte[]> producer = producer(values, 1);
        KafkaConsumer<byte[], byte[]> consumer = consumer(values)) {
      touch(List.of(producer), topic, values.number("partitions"), pool[0]);
      seekToEnd(consumer);
      Thread reading = new Thread(() -> {
        try {
          for (long arrived = 0; arrived < total && failure.get() == null;) {
            ConsumerRecords<byte[], byte[]> batch = consumer.poll(POLL);
            long now = System.nanoTime();
            for (ConsumerRecord<byte[], byte[]> record : batch) {
              long dueAt = ByteBuffer.wrap(record.value()).getLong();
              if (dueAt >= measuredFrom.get()) histogram.record(now - dueAt);
              arrived++;
            }
          }
        } catch (Exception error) {
          failure.compareAndSet(null, error);
        }
      });
      reading.start();
      Meter meter = new Meter();
      openLoop(rate, total, (index, dueAt) -> {
        if (index == warm) measuredFrom.set(dueAt);
        byte[] value = pool[(int) (index % pool.length)].clone();
        ByteBuffer.wrap(value).putLong(dueAt);
        producer.send(new ProducerRecord<>(topic, value), (metadata, error) -> {
          if (error != null) failure.compareAndSet(null, error);
        });
        return failure.get() == null;
      });
      reading.join();
      if (failure.get() != null) throw failure.get();
      return meter.result() + ",\"records\":" + (total - warm) + "," + histogram.json();
    }
  }

  private String steady(Values values) throws Exception {
    String topic = values.text("topic");
    int rate = values.number("rate");
    byte[] value = pool(values.number("bytes"))[0];
    Gaps gaps = new Gaps();
    AtomicLong failed = new AtomicLong();
    try (KafkaProducer<byte[], byte[]> producer = producer(values, 1)) {
      openLoop(rate, (long) rate * values.number("limit") / 1000, (index, dueAt) -> {
        producer.send(new ProducerRecord<>(topic, values.number("partition"), null, value), (metadata, error) -> {
          if (error == null) gaps.acknowledged();
          else failed.incrementAndGet();
        });
        return !gaps.isEnough();
      });
      producer.flush();
    }
    if (!gaps.isEnough()) throw new IllegalStateException("no acknowledgement for " + values.number("limit") + " ms");
    return "\"gapMs\":" + gaps.longestMs() + ",\"failed\":" + failed.get();
  }

  /** Sends one record; the library tries until it is acknowledged. */
  private String first(Values values) throws Exception {
    byte[] value = pool(values.number("bytes"))[0];
    event("ready");
    long endAt = System.nanoTime() + values.number("limit") * 1_000_000L;
    try (KafkaProducer<byte[], byte[]> producer = producer(values, 1)) {
      until(endAt, () -> {
        producer.send(new ProducerRecord<>(values.text("topic"), value)).get();
        return true;
      });
    }
    return "";
  }

  private List<KafkaProducer<byte[], byte[]>> producers(Values values) {
    int count = Math.max(1, values.number("producers"));
    List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
    for (int i = 0; i < count; i++) producers.add(producer(values, count));
    return producers;
  }

  private KafkaProducer<byte[], byte[]> producer(Values values, int count) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", servers);
    settings.put("acks", values.text("acks"));
    settings.put("batch.size", String.valueOf(values.number("batch")));
    settings.put("linger.ms", String.valueOf(values.number("linger")));
    settings.put("buffer.memory", String.valueOf(values.number("buffer") / count));
    settings.put("reconnect.backoff.max.ms", "100");
    settings.put("retry.backoff.max.ms", "100");
    return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  private KafkaConsumer<byte[], byte[]> consumer(Values values) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", servers);
    settings.put("enable.auto.commit", "false");
    var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    List<TopicPartition> partitions = new ArrayList<>();
    for (int i = 0; i < values.number("partitions"); i++) {
      partitions.add(new TopicPartition(values.text("topic"), i));
    }
    consumer.assign(partitions);
    return consumer;
  }

  private static void seekToEnd(KafkaConsumer<byte[], byte[]> consumer) {
    consumer.seekToEnd(consumer.assignment());
    // The library looks for the end only when it has to know it.
    for (TopicPartition partition : consumer.assignment()) consumer.position(partition);
  }

  /** Gives each partition its first record, from each producer in turn: making files is not what is measured. */
  private static void touch(List<KafkaProducer<byte[], byte[]>> producers, String topic, int partitions, byte[] value)
      throws Exception {
    List<Future<?>> sends = new ArrayList<>();
    for (int i = 0; i < Math.max(partitions, producers.size()); i++) {
      var producer = producers.get(i % producers.size());
      sends.add(producer.send(new ProducerRecord<>(topic, i % partitions, null, value)));
    }
    for (Future<?> send : sends) send.get();
  }

  private interface Check {
    boolean isTrue() throws Exception;
  }

  private static void until(long endAt, Check check) throws Exception {
    for (;;) {
      try {
        if (check.isTrue()) return;
      } catch (ExecutionException | java.util.concurrent.TimeoutException error) {
        if (System.nanoTime() >= endAt) throw error;
      }
      if (System.nanoTime() >= endAt) throw new IllegalStateException("the cluster is not ready in time");
      Thread.sleep(50);
    }
  }
}
