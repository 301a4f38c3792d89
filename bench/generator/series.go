// A file, $LOADGEN_SERIES, with what completed in each second: reports show latency over time from it.

package main

import (
	"encoding/json"
	"os"
	"sync/atomic"
	"time"
)

func init() {
	if path := os.Getenv("LOADGEN_SERIES"); path != "" {
		go observe(path)
	}
}

func observe(path string) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0644)
	if err != nil {
		panic(err)
	}
	lines := json.NewEncoder(file)
	seen := 0
	for now := range time.Tick(time.Second) {
		mu.Lock()
		fresh := append([]rec(nil), recs[seen:]...)
		seen = len(recs)
		mu.Unlock()
		latencies := make([]float64, len(fresh))
		for i, one := range fresh {
			latencies[i] = one.sched
		}
		if err := lines.Encode(map[string]any{
			"at_s": float64(now.UnixMilli()) / 1000, "completed": len(fresh), "latency_ms": stats(latencies),
			"in_flight": atomic.LoadInt64(&inflight), "sent_total": atomic.LoadInt64(&nSent),
			"refused_total": atomic.LoadInt64(&nPostErr),
		}); err != nil {
			panic(err)
		}
	}
}
