package main

import (
	"sync"
	"time"
)

// gaps knows the longest time between two acknowledgements; enough is known 3 s after they came again behind a kill.
type gaps struct {
	mutex      sync.Mutex
	lastAt     int64
	longest    int64
	steadyFrom int64
	enough     chan struct{}
	hasEnough  bool
}

func (g *gaps) acknowledged() {
	at := now()
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.lastAt == 0 {
		event("ready")
	} else {
		g.longest = max(g.longest, at-g.lastAt)
	}
	g.lastAt = at
	killed := killedAt.Load()
	if killed == 0 || at < killed+int64(50*time.Millisecond) {
		return
	}
	if g.steadyFrom == 0 {
		g.steadyFrom = at
	}
	if at >= g.steadyFrom+int64(3*time.Second) && !g.hasEnough {
		g.hasEnough = true
		close(g.enough)
	}
}

func (g *gaps) isEnough() bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.hasEnough
}

func (g *gaps) longestMs() float64 {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return float64(g.longest) / 1e6
}
