// Clients of NATS JetStream and Redis Streams for the comparison: lines "command key=value ..." on stdin, a line of JSON
// for each on stdout (see client-driver.ts).
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// result is what a command answers; each fills its own part.
type result struct {
	Records    int64      `json:"records,omitempty"`
	Bytes      int64      `json:"bytes,omitempty"`
	AllBytes   int64      `json:"allBytes,omitempty"`
	Seconds    float64    `json:"seconds,omitempty"`
	CPUSeconds float64    `json:"cpuSeconds,omitempty"`
	GapMs      float64    `json:"gapMs,omitempty"`
	Leaders    []int      `json:"leaders,omitempty"`
	Controller int        `json:"controller,omitempty"`
	Latency    *histogram `json:"latency,omitempty"`
}

type values map[string]string

func (v values) text(key string) string { return v[key] }

// number is 0 when it is not given.
func (v values) number(key string) int {
	n, _ := strconv.Atoi(v[key])
	return n
}

func (v values) duration(key string) time.Duration {
	return time.Duration(v.number(key)) * time.Millisecond
}

type command func(values) (*result, error)

var (
	began    = time.Now()
	killedAt atomic.Int64
	printing sync.Mutex
)

// now is the time of a clock that only goes forward, in nanoseconds.
func now() int64 { return int64(time.Since(began)) }

func say(what any) {
	text, err := json.Marshal(what)
	if err != nil {
		text = []byte(`{"error":"the answer cannot be told"}`)
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(string(text))
}

func event(name string) { say(map[string]string{"event": name}) }

func main() {
	servers := os.Args[2:]
	var commands map[string]command
	if os.Args[1] == "nats" {
		commands = newNats(servers).commands()
	} else {
		commands = newRedis(servers).commands()
	}
	lines := make(chan string, 16)
	go func() {
		input := bufio.NewScanner(os.Stdin)
		for input.Scan() {
			if input.Text() == "killed" {
				killedAt.Store(now())
			} else {
				lines <- input.Text()
			}
		}
		// The harness is gone or done; whatever runs has no one to report to.
		os.Exit(0)
	}()
	for line := range lines {
		words := strings.Split(line, " ")
		given := values{}
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, "=")
			given[key] = value
		}
		run, isKnown := commands[words[0]]
		if !isKnown {
			say(map[string]string{"error": "there is no command " + words[0]})
			continue
		}
		found, err := run(given)
		if err != nil {
			say(map[string]string{"error": err.Error()})
			continue
		}
		say(map[string]*result{"result": found})
	}
}

// pool gives printable values that compress little, the same in every run.
func pool(size int) [][]byte {
	count := min(65_536, max(16, (4<<20)/max(1, size)))
	values := make([][]byte, count)
	state := uint32(0x2545f491)
	for i := range values {
		values[i] = make([]byte, size)
		for j := range values[i] {
			state ^= state << 13
			state ^= state >> 17
			state ^= state << 5
			values[i][j] = byte(33 + (state>>8)%94)
		}
	}
	return values
}

// openLoop calls send for each record when it is due; one that is late sends all that is overdue at once.
func openLoop(rate int, total int64, send func(index int64, dueAt int64) (bool, error)) error {
	startedAt := now()
	for index := int64(0); index < total; index++ {
		dueAt := startedAt + index*int64(time.Second)/int64(rate)
		for idle := dueAt - now(); idle > 0; idle = dueAt - now() {
			time.Sleep(time.Duration(min(idle, 200_000)))
		}
		goOn, err := send(index, dueAt)
		if err != nil || !goOn {
			return err
		}
	}
	return nil
}

// meter measures from its making on.
type meter struct {
	startedAt int64
	cpu       float64
}

func newMeter() meter { return meter{now(), cpuSeconds()} }

func (m meter) result() *result {
	return &result{Seconds: float64(now()-m.startedAt) / 1e9, CPUSeconds: cpuSeconds() - m.cpu}
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

// failure keeps the first error of many goroutines.
type failure struct {
	first atomic.Pointer[error]
}

func (f *failure) set(err error) {
	if err != nil {
		f.first.CompareAndSwap(nil, &err)
	}
}

func (f *failure) get() error {
	if found := f.first.Load(); found != nil {
		return *found
	}
	return nil
}

// window is the time that counts of what arrives: it begins a while after the first record.
type window struct {
	mutex   sync.Mutex
	warmup  int64
	length  int64
	startAt int64
	meter   *meter
	records int64
	bytes   int64
	done    chan struct{}
	isDone  bool
}

func newWindow(v values) *window {
	return &window{
		warmup: int64(v.duration("warmup")), length: int64(v.duration("duration")), done: make(chan struct{}),
	}
}

func (w *window) arrived(records, bytes int64) {
	at := now()
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.startAt == 0 {
		w.startAt = at + w.warmup
	}
	if at < w.startAt || w.isDone {
		return
	}
	if w.meter == nil {
		begun := newMeter()
		w.meter = &begun
	}
	w.records += records
	w.bytes += bytes
	if at >= w.startAt+w.length {
		w.isDone = true
		close(w.done)
	}
}

func (w *window) result(limit time.Duration) (*result, error) {
	select {
	case <-w.done:
	case <-time.After(limit):
		return nil, fmt.Errorf("too few records came in %s", limit)
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	found := w.meter.result()
	found.Records, found.Bytes = w.records, w.bytes
	return found, nil
}

// until asks again and again.
func until(limit time.Duration, check func() error) error {
	endAt := now() + int64(limit)
	for {
		err := check()
		if err == nil || now() >= endAt {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
