package main

import (
	"encoding/json"
	"math/bits"
	"sync"
)

// histogram counts latencies in microseconds as latency-histogram.ts does.
type histogram struct {
	mutex  sync.Mutex
	counts [128 * 64]int64
	maxUs  int64
}

func (h *histogram) record(nanos int64) {
	us := max(0, (nanos+500)/1000)
	shift := 0
	if us >= 256 {
		shift = 63 - bits.LeadingZeros64(uint64(us)) - 7
	}
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.counts[int64(shift)*128+us>>shift]++
	h.maxUs = max(h.maxUs, us)
}

func (h *histogram) MarshalJSON() ([]byte, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	buckets := [][2]int64{}
	for index, count := range h.counts {
		if count == 0 {
			continue
		}
		lowest := int64(index)
		if index >= 256 {
			shift := index/128 - 1
			lowest = int64(index-shift*128) << shift
		}
		buckets = append(buckets, [2]int64{lowest, count})
	}
	return json.Marshal(map[string]any{"maxUs": h.maxUs, "buckets": buckets})
}
