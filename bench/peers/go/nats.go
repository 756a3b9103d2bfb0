package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Messages that one producer may have on the way. JetStream acknowledges each by itself.
const maxPending = 4000

// natsClient has a stream for each partition of a topic.
type natsClient struct {
	url  string
	conn *nats.Conn
	js   jetstream.JetStream
}

func newNats(servers []string) *natsClient {
	urls := make([]string, len(servers))
	for i, server := range servers {
		urls[i] = "nats://" + server
	}
	return &natsClient{url: strings.Join(urls, ",")}
}

func (c *natsClient) commands() map[string]command {
	return map[string]command{
		"create": c.create, "delete": c.remove, "leaders": c.leaders, "produce": c.produce, "consume": c.consume,
		"tail": c.tail, "e2e": c.endToEnd, "steady": c.steady, "first": c.first,
	}
}

func (c *natsClient) connect(options ...jetstream.JetStreamOpt) (*nats.Conn, jetstream.JetStream, error) {
	conn, err := nats.Connect(c.url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn, options...)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, js, nil
}

func (c *natsClient) shared() (jetstream.JetStream, error) {
	if c.js != nil {
		return c.js, nil
	}
	var err error
	c.conn, c.js, err = c.connect()
	return c.js, err
}

func streamOf(topic string, partition int) string  { return topic + "-" + strconv.Itoa(partition) }
func subjectOf(topic string, partition int) string { return topic + "." + strconv.Itoa(partition) }

func subjectsOf(topic string, partitions int) []string {
	subjects := make([]string, partitions)
	for i := range subjects {
		subjects[i] = subjectOf(topic, i)
	}
	return subjects
}

func within(limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), limit)
}

// create makes the streams and waits until each has a leader and all its replicas.
func (c *natsClient) create(v values) (*result, error) {
	limit, topic := v.duration("limit"), v.text("topic")
	return &result{}, until(limit, func() error {
		js, err := c.shared()
		if err != nil {
			return err
		}
		for i := range v.number("partitions") {
			ctx, cancel := within(5 * time.Second)
			stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
				Name: streamOf(topic, i), Subjects: []string{subjectOf(topic, i)},
				Storage: jetstream.FileStorage, Replicas: v.number("replicas"),
			})
			cancel()
			if err != nil {
				return err
			}
			if v.number("replicas") == 1 {
				continue
			}
			ctx, cancel = within(5 * time.Second)
			info, err := stream.Info(ctx)
			cancel()
			if err != nil {
				return err
			}
			if info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) < v.number("replicas")-1 {
				return errors.New("a stream has no leader yet")
			}
			for _, replica := range info.Cluster.Replicas {
				if !replica.Current {
					return errors.New("a replica of a stream is not there yet")
				}
			}
		}
		return nil
	})
}

func (c *natsClient) remove(v values) (*result, error) {
	js, err := c.shared()
	if err != nil {
		return nil, err
	}
	for i := range v.number("partitions") {
		ctx, cancel := within(10 * time.Second)
		err := js.DeleteStream(ctx, streamOf(v.text("topic"), i))
		cancel()
		if err != nil {
			return nil, err
		}
	}
	return &result{}, nil
}

// leaders tells the numbers in the names of the servers, "n1" and so on.
func (c *natsClient) leaders(v values) (*result, error) {
	js, err := c.shared()
	if err != nil {
		return nil, err
	}
	found := &result{Controller: -1}
	for i := 0; ; i++ {
		ctx, cancel := within(5 * time.Second)
		stream, err := js.Stream(ctx, streamOf(v.text("topic"), i))
		cancel()
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		node, err := strconv.Atoi(strings.TrimPrefix(stream.CachedInfo().Cluster.Leader, "n"))
		if err != nil {
			return nil, err
		}
		found.Leaders = append(found.Leaders, node)
	}
}

type natsProducer struct {
	conn *nats.Conn
	js   jetstream.JetStream
}

func (c *natsClient) producers(count, pending int, failed *failure) ([]natsProducer, func(), error) {
	var made []natsProducer
	closeAll := func() {
		for _, one := range made {
			one.conn.Close()
		}
	}
	for range count {
		conn, js, err := c.connect(
			jetstream.WithPublishAsyncMaxPending(pending),
			jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) { failed.set(err) }),
		)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		made = append(made, natsProducer{conn, js})
	}
	return made, closeAll, nil
}

func (p natsProducer) flush() error {
	select {
	case <-p.js.PublishAsyncComplete():
		return nil
	case <-time.After(time.Minute):
		return errors.New("acknowledgements are missing after a minute")
	}
}

func (c *natsClient) produce(v values) (*result, error) {
	size, count := v.number("bytes"), max(1, v.number("producers"))
	records, subjects := pool(size), subjectsOf(v.text("topic"), v.number("partitions"))
	failed := &failure{}
	producers, closeAll, err := c.producers(count, maxPending, failed)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	run := func(limit int64, length time.Duration) int64 {
		endAt := now() + int64(length)
		var total atomic.Int64
		var group sync.WaitGroup
		for _, producer := range producers {
			group.Go(func() {
				sent := int64(0)
				for ; sent < limit && failed.get() == nil; sent++ {
					if sent%64 == 0 && now() >= endAt {
						break
					}
					subject := subjects[sent%int64(len(subjects))]
					if _, err := producer.js.PublishAsync(subject, records[sent%int64(len(records))],
						jetstream.WithStallWait(30*time.Second)); err != nil {
						failed.set(err)
					}
				}
				failed.set(producer.flush())
				total.Add(sent)
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

// read gives what each stream of a topic holds, or gets from now on, to onMessage, which several goroutines call.
func (c *natsClient) read(v values, policy jetstream.DeliverPolicy, onMessage func(jetstream.Msg)) (func(), error) {
	js, err := c.shared()
	if err != nil {
		return nil, err
	}
	var running []jetstream.ConsumeContext
	stop := func() {
		for _, one := range running {
			one.Stop()
		}
	}
	for i := range v.number("partitions") {
		ctx, cancel := within(10 * time.Second)
		consumer, err := js.OrderedConsumer(ctx, streamOf(v.text("topic"), i),
			jetstream.OrderedConsumerConfig{DeliverPolicy: policy})
		cancel()
		if err != nil {
			stop()
			return nil, err
		}
		consuming, err := consumer.Consume(onMessage, jetstream.PullMaxMessages(5000))
		if err != nil {
			stop()
			return nil, err
		}
		running = append(running, consuming)
	}
	return stop, nil
}

func (c *natsClient) consume(v values) (*result, error) {
	wanted := int64(v.number("count"))
	pass := func(endAt int64) (int64, int64, error) {
		var records, bytes atomic.Int64
		done := make(chan struct{})
		stop, err := c.read(v, jetstream.DeliverAllPolicy, func(message jetstream.Msg) {
			bytes.Add(int64(len(message.Data())))
			if records.Add(1) == wanted {
				close(done)
			}
		})
		if err != nil {
			return 0, 0, err
		}
		defer stop()
		select {
		case <-done:
		case <-time.After(time.Duration(endAt - now())):
		}
		return records.Load(), bytes.Load(), nil
	}
	passes := func(length time.Duration) (total result, err error) {
		endAt := now() + int64(length)
		if length == 0 {
			endAt = now() + int64(2*time.Minute)
		}
		for isFirst := true; isFirst || (length > 0 && now() < endAt); isFirst = false {
			records, bytes, err := pass(endAt)
			if err != nil {
				return total, err
			}
			total.Records += records
			total.Bytes += bytes
		}
		if length == 0 && total.Records < wanted {
			return total, fmt.Errorf("%d of %d records came", total.Records, wanted)
		}
		return total, nil
	}
	var warm result
	if v.number("warmup") > 0 {
		var err error
		if warm, err = passes(v.duration("warmup")); err != nil {
			return nil, err
		}
	}
	measured := newMeter()
	read, err := passes(v.duration("duration"))
	found := measured.result()
	found.Records, found.Bytes, found.AllBytes = read.Records, read.Bytes, read.Bytes+warm.Bytes
	return found, err
}

func (c *natsClient) tail(v values) (*result, error) {
	counted := newWindow(v)
	stop, err := c.read(v, jetstream.DeliverNewPolicy, func(message jetstream.Msg) {
		counted.arrived(1, int64(len(message.Data())))
	})
	if err != nil {
		return nil, err
	}
	defer stop()
	event("ready")
	return counted.result(v.duration("limit"))
}

func (c *natsClient) endToEnd(v values) (*result, error) {
	rate := v.number("rate")
	warm := int64(rate) * int64(v.number("warmup")) / 1000
	total := warm + int64(rate)*int64(v.number("duration"))/1000
	records, subjects := pool(max(8, v.number("bytes"))), subjectsOf(v.text("topic"), v.number("partitions"))
	failed := &failure{}
	producers, closeAll, err := c.producers(1, 1<<20, failed)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	latencies := &histogram{}
	var measuredFrom, arrived atomic.Int64
	measuredFrom.Store(int64(1) << 62)
	done := make(chan struct{})
	stop, err := c.read(v, jetstream.DeliverNewPolicy, func(message jetstream.Msg) {
		dueAt := int64(binary.BigEndian.Uint64(message.Data()))
		if dueAt >= measuredFrom.Load() {
			latencies.record(now() - dueAt)
		}
		if arrived.Add(1) == total {
			close(done)
		}
	})
	if err != nil {
		return nil, err
	}
	defer stop()
	measured := newMeter()
	err = openLoop(rate, total, func(index, dueAt int64) (bool, error) {
		if index == warm {
			measuredFrom.Store(dueAt)
		}
		value := append([]byte(nil), records[index%int64(len(records))]...)
		binary.BigEndian.PutUint64(value, uint64(dueAt))
		_, err := producers[0].js.PublishAsync(subjects[index%int64(len(subjects))], value)
		return failed.get() == nil, err
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-done:
	case <-time.After(time.Minute):
		failed.set(fmt.Errorf("%d of %d records came", arrived.Load(), total))
	}
	found := measured.result()
	found.Records, found.Latency = total-warm, latencies
	return found, failed.get()
}

// steady publishes at a rate to one stream; what gets no answer is published again, as the application would have to.
func (c *natsClient) steady(v values) (*result, error) {
	subject, value := subjectOf(v.text("topic"), v.number("partition")), pool(v.number("bytes"))[0]
	conn, js, err := c.connect(
		jetstream.WithPublishAsyncMaxPending(1<<20), jetstream.WithPublishAsyncTimeout(time.Second))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	killedAt.Store(0)
	found := &gaps{enough: make(chan struct{})}
	var publish func()
	publish = func() {
		future, err := js.PublishAsync(subject, value)
		if err != nil {
			return
		}
		go func() {
			select {
			case <-future.Ok():
				found.acknowledged()
			case <-future.Err():
				select {
				case <-found.enough:
				case <-time.After(50 * time.Millisecond):
					publish()
				}
			}
		}()
	}
	total := int64(v.number("rate")) * int64(v.number("limit")) / 1000
	err = openLoop(v.number("rate"), total, func(_, _ int64) (bool, error) {
		publish()
		return !found.isEnough(), nil
	})
	if err == nil && !found.isEnough() {
		err = fmt.Errorf("no acknowledgement for %s", v.duration("limit"))
	}
	return &result{GapMs: found.longestMs()}, err
}

func (c *natsClient) first(v values) (*result, error) {
	subject, value := subjectOf(v.text("topic"), 0), pool(v.number("bytes"))[0]
	event("ready")
	return &result{}, until(v.duration("limit"), func() error {
		js, err := c.shared()
		if err != nil {
			return err
		}
		ctx, cancel := within(500 * time.Millisecond)
		defer cancel()
		_, err = js.Publish(ctx, subject, value)
		return err
	})
}
