// The distribution of load over pairs of FSPs, the CPU and memory of processes, and quantiles.

package main

import (
	"fmt"
	"math"
	mrand "math/rand"
	"os"
	"sort"
	"strconv"
	"strings"
)

func pairList() []pair {
	ps, qs := strings.Split(*payers, ","), strings.Split(*payees, ",")
	var l []pair
	if *pairsF == "whitepaper" {
		l = append(l, pair{ps[0], qs[0], .49})
		for _, q := range qs[1:4] {
			l = append(l, pair{ps[0], q, .07})
		}
		for _, p := range ps[1:4] {
			for _, q := range qs[1:4] {
				l = append(l, pair{p, q, .0333})
			}
		}
		return l
	}
	if *pairsF != "" {
		for _, s := range strings.Split(*pairsF, ",") {
			f := strings.Split(s, ":")
			w, _ := strconv.ParseFloat(f[2], 64)
			l = append(l, pair{f[0], f[1], w})
		}
		return l
	}
	for i, p := range ps {
		w := 1 / float64(len(ps))
		if *hot > 0 && len(ps) > 1 {
			if i == 0 {
				w = *hot
			} else {
				w = (1 - *hot) / float64(len(ps)-1)
			}
		}
		for _, q := range qs {
			if q != p {
				l = append(l, pair{p, q, w / float64(len(qs))})
			}
		}
	}
	return l
}

func picker(l []pair, r *mrand.Rand) func() pair {
	cum := make([]float64, len(l))
	s := 0.0
	for i, p := range l {
		s += p.w
		cum[i] = s
	}
	return func() pair {
		x := r.Float64() * s
		i := sort.SearchFloat64s(cum, x)
		if i >= len(l) {
			i = len(l) - 1
		}
		return l[i]
	}
}

// --- CPU accounting
func groups() map[string][]int {
	g := map[string][]int{}
	if *pids != "" {
		for _, s := range strings.Split(*pids, ",") {
			f := strings.SplitN(s, "=", 2)
			for _, p := range strings.Split(f[1], "+") {
				n, _ := strconv.Atoi(p)
				g[f[0]] = append(g[f[0]], n)
			}
		}
	}
	if *pidDir != "" {
		es, _ := os.ReadDir(*pidDir)
		for _, e := range es {
			if strings.HasSuffix(e.Name(), ".pid") {
				b, _ := os.ReadFile(*pidDir + "/" + e.Name())
				n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
				if n > 0 {
					g[strings.TrimSuffix(e.Name(), ".pid")] = []int{n}
				}
			}
		}
	}
	g["loadgen"] = []int{os.Getpid()}
	return g
}
func ticks(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	s := string(b)
	f := strings.Fields(s[strings.LastIndex(s, ")")+1:])
	u, _ := strconv.ParseFloat(f[11], 64)
	k, _ := strconv.ParseFloat(f[12], 64)
	return (u + k) / 100
}
func rss(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	n, _ := strconv.ParseFloat(f[1], 64)
	return n * 4096 / 1e6
}
func sysCPU() (busy, idle, steal float64) {
	b, _ := os.ReadFile("/proc/stat")
	f := strings.Fields(strings.SplitN(string(b), "\n", 2)[0])[1:]
	v := make([]float64, len(f))
	for i := range f {
		v[i], _ = strconv.ParseFloat(f[i], 64)
	}
	busy = (v[0] + v[1] + v[2] + v[5] + v[6]) / 100
	idle = (v[3] + v[4]) / 100
	steal = v[7] / 100
	return
}

func pct(s []float64, p float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	i := int(math.Ceil(p/100*float64(len(s)))) - 1
	if i < 0 {
		i = 0
	}
	return s[i]
}
func stats(s []float64) map[string]any {
	if len(s) == 0 {
		return map[string]any{"n": 0}
	}
	sort.Float64s(s)
	m := 0.0
	for _, x := range s {
		m += x
	}
	r := func(x float64) float64 { return math.Round(x*10) / 10 }
	return map[string]any{"n": len(s), "mean": r(m / float64(len(s))), "p50": r(pct(s, 50)), "p90": r(pct(s, 90)), "p95": r(pct(s, 95)), "p99": r(pct(s, 99)), "max": r(s[len(s)-1]), "min": r(s[0])}
}
func r3(x float64) float64 { return math.Round(x*1000) / 1000 }
