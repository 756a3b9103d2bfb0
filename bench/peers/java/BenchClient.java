import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.locks.LockSupport;

/**
 * What clients in Java have in common: lines "command key=value ..." on stdin, a line of JSON for each on stdout (see
 * client-driver.ts), the pace of an open loop, and a histogram.
 */
abstract class BenchClient {
  /** When the harness said that it killed a broker, of System.nanoTime; 0: it did not. */
  static volatile long killedAt;

  /** Does a command; gives the inside of a JSON object. */
  abstract String run(String command, Values values) throws Exception;

  /** Serves stdin until it ends. */
  final void serve() throws Exception {
    BlockingQueue<String> lines = new LinkedBlockingQueue<>();
    Thread reader = new Thread(() -> {
      try (BufferedReader input = new BufferedReader(new InputStreamReader(System.in))) {
        for (String line = input.readLine(); line != null; line = input.readLine()) {
          if (line.equals("killed")) killedAt = System.nanoTime();
          else lines.add(line);
        }
      } catch (Exception error) {
        error.printStackTrace();
      }
      // The harness is gone or done; whatever runs has no one to report to.
      Runtime.getRuntime().halt(0);
    });
    reader.setDaemon(true);
    reader.start();
    for (;;) {
      String[] words = lines.take().split(" ");
      Map<String, String> values = new HashMap<>();
      for (int i = 1; i < words.length; i++) {
        int at = words[i].indexOf('=');
        values.put(words[i].substring(0, at), words[i].substring(at + 1));
      }
      try {
        say("{\"result\":{" + run(words[0], new Values(values)) + "}}");
      } catch (Exception error) {
        error.printStackTrace();
        say("{\"error\":" + quoted(String.valueOf(error)) + "}");
      }
    }
  }

  static void event(String name) {
    say("{\"event\":" + quoted(name) + "}");
  }

  private static synchronized void say(String line) {
    System.out.println(line);
    System.out.flush();
  }

  private static String quoted(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') out.append('\\').append(c);
      else out.append(c < ' ' || c > '~' ? ' ' : c);
    }
    return out.append('"').toString();
  }

  /** The values of one command. */
  static final class Values {
    private final Map<String, String> values;

    Values(Map<String, String> values) {
      this.values = values;
    }

    String text(String key) {
      return values.getOrDefault(key, "");
    }

    /** 0 when it is not given. */
    int number(String key) {
      return Integer.parseInt(values.getOrDefault(key, "0"));
    }
  }

  /** Printable values that compress little, the same in every run. */
  static byte[][] pool(int size) {
    int count = Math.min(65_536, Math.max(16, (4 << 20) / Math.max(1, size)));
    byte[][] pool = new byte[count][size];
    int state = 0x2545f491;
    for (byte[] value : pool) {
      for (int i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        value[i] = (byte) (33 + Integer.remainderUnsigned(state >>> 8, 94));
      }
    }
    return pool;
  }

  /** What is to be done for each record of an open loop, and when it was due, of System.nanoTime. */
  interface Sender {
    /** False ends the loop. */
    boolean send(long index, long dueAt) throws Exception;
  }

  /** Calls for each record when it is due; one that is late sends all that is overdue at once. */
  static void openLoop(int rate, long total, Sender sender) throws Exception {
    long startedAt = System.nanoTime();
    for (long index = 0; index < total; index++) {
      long dueAt = startedAt + index * 1_000_000_000L / rate;
      for (long idle = dueAt - System.nanoTime(); idle > 0; idle = dueAt - System.nanoTime()) {
        LockSupport.parkNanos(Math.min(idle, 200_000));
      }
      if (!sender.send(index, dueAt)) return;
    }
  }

  /** Measures from its construction on. */
  static final class Meter {
    private final long startedAt = System.nanoTime();
    private final long cpu = cpuNanos();

    String result() {
      double seconds = (System.nanoTime() - startedAt) / 1e9;
      double cpuSeconds = (cpuNanos() - cpu) / 1e9;
      return "\"seconds\":" + seconds + ",\"cpuSeconds\":" + cpuSeconds;
    }

    private static long cpuNanos() {
      var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
      return system.getProcessCpuTime();
    }
  }

  /** Counts latencies as latency-histogram.ts does. Not for several threads. */
  static final class Histogram {
    private final long[] counts = new long[128 * 64];
    private long maxUs;

    void record(long nanos) {
      long us = Math.max(0, (nanos + 500) / 1000);
      int shift = us < 256 ? 0 : 63 - Long.numberOfLeadingZeros(us) - 7;
      counts[(int) (shift * 128 + (us >> shift))]++;
      maxUs = Math.max(maxUs, us);
    }

    String json() {
      StringBuilder out = new StringBuilder("\"latency\":{\"maxUs\":" + maxUs + ",\"buckets\":[");
      boolean isFirst = true;
      for (int index = 0; index < counts.length; index++) {
        if (counts[index] == 0) continue;
        int shift = index < 256 ? 0 : index / 128 - 1;
        long lowest = (long) (index - shift * 128) << shift;
        out.append(isFirst ? "" : ",").append('[').append(lowest).append(',').append(counts[index]).append(']');
        isFirst = false;
      }
      return out.append("]}").toString();
    }
  }

  /** The longest time between two acknowledgements; enough is known 3 s after they came again behind a kill. */
  static final class Gaps {
    private static final long AGAIN_NANOS = 50_000_000;
    private static final long STEADY_NANOS = 3_000_000_000L;
    private long lastAt;
    private long longest;
    private long steadyFrom;
    private boolean isEnough;

    Gaps() {
      killedAt = 0;
    }

    synchronized void acknowledged() {
      long now = System.nanoTime();
      if (lastAt == 0) event("ready");
      else longest = Math.max(longest, now - lastAt);
      lastAt = now;
      long killed = killedAt;
      if (killed == 0 || now < killed + AGAIN_NANOS) return;
      if (steadyFrom == 0) steadyFrom = now;
      if (now >= steadyFrom + STEADY_NANOS) isEnough = true;
    }

    synchronized boolean isEnough() {
      return isEnough;
    }

    synchronized double longestMs() {
      return longest / 1e6;
    }
  }
}
