package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// Connections of a producer to each partition: a WAIT holds up what comes behind it on its connection.
	redisDepth = 2
	// How long a WAIT may take.
	redisWaitMs = 10_000
	// Records of one answer to a reader.
	redisCount = "1000"
)

// redisClient has a stream for each partition of a topic, all at the first server; the others are its replicas.
type redisClient struct {
	primary  string
	replicas int
}

func newRedis(servers []string) *redisClient {
	return &redisClient{primary: servers[0], replicas: len(servers) - 1}
}

func (c *redisClient) commands() map[string]command {
	return map[string]command{
		"create": c.create, "delete": c.remove, "produce": c.produce, "consume": c.consume, "tail": c.tail,
		"e2e": c.endToEnd, "first": c.first,
	}
}

// redisConn writes commands and reads answers, each in its order.
type redisConn struct {
	conn net.Conn
	in   *bufio.Reader
	out  *bufio.Writer
}

func (c *redisClient) dial() (*redisConn, error) {
	conn, err := net.DialTimeout("tcp", c.primary, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &redisConn{conn, bufio.NewReaderSize(conn, 1<<18), bufio.NewWriterSize(conn, 1<<17)}, nil
}

func (r *redisConn) write(words ...[]byte) {
	// A failed write shows as a failed flush.
	r.out.WriteString("*" + strconv.Itoa(len(words)) + "\r\n")
	for _, word := range words {
		r.out.WriteString("$" + strconv.Itoa(len(word)) + "\r\n")
		r.out.Write(word)
		r.out.WriteString("\r\n")
	}
}

// read gives an int64, []byte, []any or nil.
func (r *redisConn) read() (any, error) {
	line, err := r.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 {
		return nil, errors.New("an answer of Redis is not understood")
	}
	rest := string(line[1 : len(line)-2])
	switch line[0] {
	case '+':
		return []byte(rest), nil
	case '-':
		return nil, errors.New(rest)
	case ':':
		return strconv.ParseInt(rest, 10, 64)
	}
	length, err := strconv.Atoi(rest)
	if err != nil || length < 0 {
		return nil, err
	}
	if line[0] == '$' {
		data := make([]byte, length+2)
		_, err := io.ReadFull(r.in, data)
		return data[:length], err
	}
	list := make([]any, length)
	for i := range list {
		if list[i], err = r.read(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (r *redisConn) ask(words ...string) (any, error) {
	bytes := make([][]byte, len(words))
	for i, word := range words {
		bytes[i] = []byte(word)
	}
	r.write(bytes...)
	if err := r.out.Flush(); err != nil {
		return nil, err
	}
	return r.read()
}

// add writes records in one go and waits until all replicas have them, where there are any.
func (c *redisClient) add(r *redisConn, key []byte, records [][]byte) error {
	for _, record := range records {
		r.write([]byte("XADD"), key, []byte("*"), []byte("v"), record)
	}
	if c.replicas > 0 {
		r.write([]byte("WAIT"), []byte(strconv.Itoa(c.replicas)), []byte(strconv.Itoa(redisWaitMs)))
	}
	if err := r.out.Flush(); err != nil {
		return err
	}
	for range records {
		if _, err := r.read(); err != nil {
			return err
		}
	}
	if c.replicas == 0 {
		return nil
	}
	held, err := r.read()
	if err != nil {
		return err
	}
	if held.(int64) < int64(c.replicas) {
		return fmt.Errorf("%d of %d replicas have the records", held, c.replicas)
	}
	return nil
}

func keyOf(topic string, partition int) string { return topic + ":" + strconv.Itoa(partition) }

// create waits until all replicas follow; streams are made with their first record.
func (c *redisClient) create(v values) (*result, error) {
	return &result{}, until(v.duration("limit"), func() error {
		conn, err := c.dial()
		if err != nil {
			return err
		}
		defer conn.conn.Close()
		info, err := conn.ask("INFO", "replication")
		if err != nil {
			return err
		}
		if strings.Count(string(info.([]byte)), "state=online") < c.replicas {
			return errors.New("a replica does not follow yet")
		}
		_, err = conn.ask("PING")
		return err
	})
}

func (c *redisClient) remove(v values) (*result, error) {
	conn, err := c.dial()
	if err != nil {
		return nil, err
	}
	defer conn.conn.Close()
	for i := range v.number("partitions") {
		if _, err := conn.ask("UNLINK", keyOf(v.text("topic"), i)); err != nil {
			return nil, err
		}
	}
	return &result{}, nil
}

func (c *redisClient) produce(v values) (*result, error) {
	size, partitions := v.number("bytes"), v.number("partitions")
	records := pool(size)
	batch := min(len(records), max(1, v.number("batch")/size))
	failed := &failure{}
	// One producer writes to all partitions at once; of many, each to one at a time and all of them to all.
	workers := partitions * redisDepth
	if producers := v.number("producers"); producers > 1 {
		workers = producers
	}
	conns := make([]*redisConn, workers)
	for i := range conns {
		conn, err := c.dial()
		if err != nil {
			return nil, err
		}
		defer conn.conn.Close()
		conns[i] = conn
	}
	run := func(limit int64, length time.Duration) int64 {
		endAt := now() + int64(length)
		var taken, total atomic.Int64
		var group sync.WaitGroup
		for i, conn := range conns {
			key := []byte(keyOf(v.text("topic"), i%partitions))
			group.Go(func() {
				for at := 0; now() < endAt && failed.get() == nil; at += batch {
					from := taken.Add(int64(batch)) - int64(batch)
					if from >= limit {
						return
					}
					some := int(min(int64(batch), limit-from))
					first := at % (len(records) - some + 1)
					if err := c.add(conn, key, records[first:first+some]); err != nil {
						failed.set(err)
						return
					}
					total.Add(int64(some))
				}
			})
		}
		group.Wait()
		return total.Load()
	}
	const forever = int64(1) << 62
	warm := run(forever, v.duration("warmup"))
	measured := newMeter()
	var sent int64
	if n := int64(v.number("count")); n > 0 {
		sent = run(n, time.Hour)
	} else {
		sent = run(forever, v.duration("duration"))
	}
	found := measured.result()
	found.Records, found.Bytes, found.AllBytes = sent, sent*int64(size), (sent+warm)*int64(size)
	return found, failed.get()
}

// read gives the values of a topic from where it has come to, to onBatch, one goroutine for each partition, until stop.
func (c *redisClient) read(v values, fromEnd bool, failed *failure, onBatch func(values [][]byte)) (func(), error) {
	stopped := make(chan struct{})
	var conns []*redisConn
	var group sync.WaitGroup
	stop := func() {
		close(stopped)
		for _, conn := range conns {
			conn.conn.Close()
		}
		group.Wait()
	}
	for i := range v.number("partitions") {
		conn, err := c.dial()
		if err != nil {
			stop()
			return nil, err
		}
		conns = append(conns, conn)
		key, last := keyOf(v.text("topic"), i), "0"
		if fromEnd {
			found, err := conn.ask("XREVRANGE", key, "+", "-", "COUNT", "1")
			if err != nil {
				stop()
				return nil, err
			}
			if list := found.([]any); len(list) > 0 {
				last = string(list[0].([]any)[0].([]byte))
			}
		}
		group.Go(func() {
			for {
				answer, err := conn.ask("XREAD", "COUNT", redisCount, "BLOCK", "100", "STREAMS", key, last)
				select {
				case <-stopped:
					return
				default:
				}
				if err != nil {
					failed.set(err)
					return
				}
				if answer == nil {
					continue
				}
				entries := answer.([]any)[0].([]any)[1].([]any)
				batch := make([][]byte, len(entries))
				for i, entry := range entries {
					batch[i] = entry.([]any)[1].([]any)[1].([]byte)
				}
				last = string(entries[len(entries)-1].([]any)[0].([]byte))
				onBatch(batch)
			}
		})
	}
	return stop, nil
}

func bytesOf(values [][]byte) (sum int64) {
	for _, value := range values {
		sum += int64(len(value))
	}
	return sum
}

func (c *redisClient) consume(v values) (*result, error) {
	wanted, failed := int64(v.number("count")), &failure{}
	passes := func(length time.Duration) (records, bytes int64, err error) {
		endAt := now() + int64(length)
		for now() < endAt && failed.get() == nil {
			var ofPass, sum atomic.Int64
			done := make(chan struct{})
			stop, err := c.read(v, false, failed, func(values [][]byte) {
				sum.Add(bytesOf(values))
				if after := ofPass.Add(int64(len(values))); after >= wanted && after-int64(len(values)) < wanted {
					close(done)
				}
			})
			if err != nil {
				return 0, 0, err
			}
			select {
			case <-done:
			case <-time.After(time.Duration(endAt - now())):
			}
			stop()
			records += ofPass.Load()
			bytes += sum.Load()
		}
		return records, bytes, failed.get()
	}
	_, warm, err := passes(v.duration("warmup"))
	if err != nil {
		return nil, err
	}
	measured := newMeter()
	records, bytes, err := passes(v.duration("duration"))
	found := measured.result()
	found.Records, found.Bytes, found.AllBytes = records, bytes, bytes+warm
	return found, err
}

func (c *redisClient) tail(v values) (*result, error) {
	counted, failed := newWindow(v), &failure{}
	stop, err := c.read(v, true, failed, func(values [][]byte) { counted.arrived(int64(len(values)), bytesOf(values)) })
	if err != nil {
		return nil, err
	}
	defer stop()
	event("ready")
	found, err := counted.result(v.duration("limit"))
	failed.set(err)
	return found, failed.get()
}

// endToEnd sends what is due, with all that came due while the last answer was on its way.
func (c *redisClient) endToEnd(v values) (*result, error) {
	rate, partitions := v.number("rate"), v.number("partitions")
	warm := int64(rate) * int64(v.number("warmup")) / 1000
	total := warm + int64(rate)*int64(v.number("duration"))/1000
	records, failed, latencies := pool(max(8, v.number("bytes"))), &failure{}, &histogram{}
	var measuredFrom, arrived atomic.Int64
	measuredFrom.Store(int64(1) << 62)
	done := make(chan struct{})
	stop, err := c.read(v, true, failed, func(values [][]byte) {
		at := now()
		for _, value := range values {
			if dueAt := int64(binary.BigEndian.Uint64(value)); dueAt >= measuredFrom.Load() {
				latencies.record(at - dueAt)
			}
		}
		if after := arrived.Add(int64(len(values))); after >= total && after-int64(len(values)) < total {
			close(done)
		}
	})
	if err != nil {
		return nil, err
	}
	defer stop()
	queues := make([]chan []byte, partitions)
	for i := range queues {
		queues[i] = make(chan []byte, 1<<16)
		defer close(queues[i])
		conn, err := c.dial()
		if err != nil {
			return nil, err
		}
		go func() {
			defer conn.conn.Close()
			for record := range queues[i] {
				batch := [][]byte{record}
				for len(batch) < 64 && len(queues[i]) > 0 {
					batch = append(batch, <-queues[i])
				}
				failed.set(c.add(conn, []byte(keyOf(v.text("topic"), i)), batch))
			}
		}()
	}
	measured := newMeter()
	err = openLoop(rate, total, func(index, dueAt int64) (bool, error) {
		if index == warm {
			measuredFrom.Store(dueAt)
		}
		value := append([]byte(nil), records[index%int64(len(records))]...)
		binary.BigEndian.PutUint64(value, uint64(dueAt))
		queues[index%int64(partitions)] <- value
		return failed.get() == nil, nil
	})
	failed.set(err)
	select {
	case <-done:
	case <-time.After(time.Minute):
		failed.set(fmt.Errorf("%d of %d records came", arrived.Load(), total))
	}
	found := measured.result()
	found.Records, found.Latency = total-warm, latencies
	return found, failed.get()
}

func (c *redisClient) first(v values) (*result, error) {
	value := pool(v.number("bytes"))[0]
	event("ready")
	return &result{}, until(v.duration("limit"), func() error {
		conn, err := c.dial()
		if err != nil {
			return err
		}
		defer conn.conn.Close()
		return c.add(conn, []byte(keyOf(v.text("topic"), 0)), [][]byte{value})
	})
}
