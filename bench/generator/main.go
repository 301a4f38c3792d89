// Loadgen is the load generator for a hub that speaks FSPIOP (standard library only). It plays all payers and all payees.
// POST /transfers goes to the hub; the hub's POST to the payee is answered 202, and then PUT /transfers/{id} with the
// fulfilment is sent to the hub. A transfer is complete when the payer's PUT /transfers/{id} arrives. Closed loop (-c) or
// open loop (-rate). With -stages payment the unit of work is a whole payment: lookup of the payee, quote, transfer.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	mrand "math/rand"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	flag.Parse()
	setUp()
	for i := range shards {
		shards[i].m = map[string]*tx{}
	}
	if *ilpFile != "" {
		b, err := os.ReadFile(*ilpFile)
		if err != nil {
			panic(err)
		}
		ilp = strings.TrimSpace(string(b))
	}
	pl := pairList()
	fsps = newFsps(pl)
	saveCPU()
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	var lnTLS *tls.Config
	if *tlsDir != "" {
		lnTLS = serverTLS("server", hubCN())
	}
	if *engine == "fast" {
		go serve(ln, lnTLS, handle)
	} else {
		h := handler
		if *stages == "payment" {
			h = stdHandler
		}
		srv := &http.Server{Handler: http.HandlerFunc(h), TLSConfig: lnTLS, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
		if lnTLS != nil {
			go srv.ServeTLS(ln, "", "")
		} else {
			go srv.Serve(ln)
		}
	}
	to := time.Duration(*timeout * 1e9)
	wait := func(t *tx, id string) bool {
		tm := time.NewTimer(to)
		select {
		case <-t.done:
			tm.Stop()
		case <-tm.C:
			if atomic.CompareAndSwapInt32(&t.state, 0, 3) {
				atomic.AddInt64(&nTimeout, 1)
				atomic.AddInt64(&inflight, -1)
				logErr("timeout %s", id)
				countErr(sTransfers, "timeout")
				time.AfterFunc(20*time.Second, func() { del(id) })
			}
		}
		return atomic.LoadInt32(&t.state) == 1
	}
	unit := func(p pair, sched time.Time) bool {
		t, id := fire(p, sched)
		return wait(t, id)
	}
	if *stages == "payment" {
		unit = payOnce
	}
	if *preflight {
		if !unit(pl[0], time.Now()) {
			fmt.Fprintf(os.Stderr, "preflight %s failed\n", *stages)
			os.Exit(3)
		}
		fmt.Fprintf(os.Stderr, "preflight ok %.1f ms\n", recs[0].lat)
	}
	start := time.Now()
	ws := start.Add(time.Duration(*warm * 1e9))
	we := ws.Add(time.Duration(*dur * 1e9))
	winStart, winEnd = ws, we
	g := groups()
	type snap struct {
		t                 map[string]float64
		busy, idle, steal float64
		sent, done        int64
	}
	shot := func() snap {
		s := snap{t: map[string]float64{}}
		for n, ps := range g {
			for _, p := range ps {
				s.t[n] += ticks(p)
			}
		}
		s.busy, s.idle, s.steal = sysCPU()
		s.sent, s.done = atomic.LoadInt64(&nSent), atomic.LoadInt64(&nDone)
		return s
	}
	var a, z snap
	var sn sync.WaitGroup
	sn.Add(2)
	time.AfterFunc(time.Until(ws), func() { a = shot(); sn.Done() })
	time.AfterFunc(time.Until(we), func() { z = shot(); sn.Done() })
	ctx, cancel := context.WithDeadline(context.Background(), we)
	defer cancel()
	var wg sync.WaitGroup
	maxInfl := int64(0)
	if *rate > 0 {
		r := mrand.New(mrand.NewSource(time.Now().UnixNano()))
		pick := picker(pl, r)
		next := time.Now()
		for time.Now().Before(we) {
			if d := time.Until(next); d > 0 {
				time.Sleep(d)
			}
			p, sched := pick(), next
			wg.Add(1)
			go func() {
				defer wg.Done()
				unit(p, sched)
			}()
			if x := atomic.LoadInt64(&inflight); x > maxInfl {
				maxInfl = x
			}
			step := 1 / *rate
			if *arrival == "poisson" {
				step = r.ExpFloat64() / *rate
			}
			next = next.Add(time.Duration(step * 1e9))
		}
	} else {
		for i := 0; i < *conc; i++ {
			wg.Add(1)
			r := mrand.New(mrand.NewSource(time.Now().UnixNano() + int64(i)*7919))
			pick := picker(pl, r)
			go func() {
				defer wg.Done()
				for ctx.Err() == nil {
					if !unit(pick(), time.Now()) {
						time.Sleep(20 * time.Millisecond)
					}
				}
			}()
		}
		<-ctx.Done()
	}
	sn.Wait()
	atEnd := atomic.LoadInt64(&inflight)
	dl := time.Now().Add(time.Duration(*drain * 1e9))
	for atomic.LoadInt64(&inflight) > 0 && time.Now().Before(dl) {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond)
	mu.Lock()
	var lat, sl []float64
	var byStage, answers [3][]float64
	persec := make([]int, int(math.Ceil(*dur)))
	for n, x := range recs {
		if x.at.After(ws) && !x.at.After(we) {
			lat = append(lat, x.lat)
			sl = append(sl, x.sched)
			if i := int(x.at.Sub(ws).Seconds()); i < len(persec) {
				persec[i]++
			}
			if *stages == "payment" {
				for s := range stageNames {
					byStage[s] = append(byStage[s], float64(stageRecs[n][s].received))
					answers[s] = append(answers[s], float64(stageRecs[n][s].answered))
				}
			}
		}
	}
	mu.Unlock()
	cpu, mem := map[string]float64{}, map[string]float64{}
	tot := 0.0
	for n, ps := range g {
		cpu[n] = r3((z.t[n] - a.t[n]) / *dur)
		tot += (z.t[n] - a.t[n]) / *dur
		for _, p := range ps {
			mem[n] += math.Round(rss(p))
		}
	}
	res := map[string]any{
		"label": *label, "at": start.UTC().Format(time.RFC3339), "mode": map[bool]string{true: "open", false: "closed"}[*rate > 0],
		"rate": *rate, "concurrency": *conc, "hot": *hot, "pairs": *pairsF, "state": *state, "warmup_s": *warm, "duration_s": *dur,
		"completed": len(lat), "completed_per_s": r3(float64(len(lat)) / *dur), "sent_in_window": z.sent - a.sent, "sent_per_s": r3(float64(z.sent-a.sent) / *dur),
		"latency_ms": stats(lat), "post_202_ms": stats(postLat),
		"errors":  map[string]int64{"post": nPostErr, "put_fulfil": nPutErr, "error_callbacks": nErrCb, "timeouts": nTimeout, "late_after_timeout": nLateTO, "unknown_callbacks": nUnknown, "duplicate_puts": nDupPut},
		"patches": nPatch, "inflight_at_window_end": atEnd, "not_completed_after_drain": atomic.LoadInt64(&inflight),
		"total_sent": nSent, "total_completed": nDone, "cpu_cores": cpu, "cpu_cores_sum": r3(tot), "rss_mb": mem,
		"system":     map[string]float64{"busy_cores": r3((z.busy - a.busy) / *dur), "idle_cores": r3((z.idle - a.idle) / *dur), "steal_cores": r3((z.steal - a.steal) / *dur), "outside_these_processes": r3((z.busy-a.busy) / *dur - tot)},
		"per_second": persec,
	}
	if *rate > 0 {
		res["latency_from_schedule_ms"] = stats(sl)
		res["max_inflight"] = maxInfl
	}
	byCode := map[string]any{}
	perUnit := map[string]float64{}
	errMu.Lock()
	for s, name := range stageNames {
		x := map[string]any{"errors": errByStage[s]}
		if *stages == "payment" {
			x["latency_ms"], x["answer_ms"] = stats(byStage[s]), stats(answers[s])
		} else if s != sTransfers {
			continue
		}
		byCode[name] = x
	}
	errMu.Unlock()
	if len(lat) > 0 {
		for n := range g {
			perUnit[n] = r3((z.t[n] - a.t[n]) * 1000 / float64(len(lat)))
		}
	}
	res["unit"], res["http"], res["gomaxprocs"], res["stages"], res["cpu_ms_per_"+*stages] = *stages, *engine, processors, byCode, perUnit
	res["connections"] = map[string]int64{"opened": nOpened.Load(), "accepted": nAccepted.Load(), "repeated_on_a_new_one": nAgain.Load(), "refused_by_tls": nRefused.Load()}
	if *jwsDir != "" {
		jwsMu.Lock()
		res["jws"] = map[string]any{"signed": nSigned.Load(), "verified": nVerified.Load(), "unsigned": nUnsigned.Load(), "failed": jwsFailed}
		jwsMu.Unlock()
	}
	if *stages == "payment" {
		res["payments_per_s"], res["confirmations"] = res["completed_per_s"], nConfirmed.Load()
	}
	if len(lat) > 0 {
		peer := tot - (z.t["loadgen"]-a.t["loadgen"]) / *dur
		res["hub_cpu_ms_per_transfer"] = r3(peer * *dur * 1000 / float64(len(lat)))
	}
	b, _ := json.Marshal(res)
	fmt.Println(string(b))
	if *out != "" {
		f, err := os.OpenFile(*out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0644)
		if err == nil {
			f.Write(append(b, '\n'))
			f.Close()
		}
	}
}
