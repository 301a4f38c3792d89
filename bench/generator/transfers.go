// One transfer: sent by the payer, fulfilled by the payee, complete when the payer's callback arrives.

package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const defaultIlp = "DIICtgAAAAAAD0JAMjAyNDEyMDUxNjA4MDM5MDcYjF3nFyiGSaedeiWlO_87HCnJof_86Krj0lO8KjynIApnLm1vamFsb29wggJvZXlKeGRXOTBaVWxrSWpvaU1ERktSVUpUTmpsV1N6WkJSVUU0VkVkQlNrVXpXa0U1UlVnaUxDSjBjbUZ1YzJGamRHbHZia2xrSWpvaU1ERktSVUpUTmpsV1N6WkJSVUU0VkVkQlNrVXpXa0U1UlVvaUxDSjBjbUZ1YzJGamRHbHZibFI1Y0dVaU9uc2ljMk5sYm1GeWFXOGlPaUpVVWtGT1UwWkZVaUlzSW1sdWFYUnBZWFJ2Y2lJNklsQkJXVVZTSWl3aWFXNXBkR2xoZEc5eVZIbHdaU0k2SWtKVlUwbE9SVk5USW4wc0luQmhlV1ZsSWpwN0luQmhjblI1U1dSSmJtWnZJanA3SW5CaGNuUjVTV1JVZVhCbElqb2lUVk5KVTBST0lpd2ljR0Z5ZEhsSlpHVnVkR2xtYVdWeUlqb2lNamMzTVRNNE1ETTVNVElpTENKbWMzQkpaQ0k2SW5CaGVXVmxabk53SW4xOUxDSndZWGxsY2lJNmV5SndZWEowZVVsa1NXNW1ieUk2ZXlKd1lYSjBlVWxrVkhsd1pTSTZJazFUU1ZORVRpSXNJbkJoY25SNVNXUmxiblJwWm1sbGNpSTZJalEwTVRJek5EVTJOemc1SWl3aVpuTndTV1FpT2lKMFpYTjBhVzVuZEc5dmJHdHBkR1JtYzNBaWZYMHNJbVY0Y0dseVlYUnBiMjRpT2lJeU1ESTBMVEV5TFRBMVZERTJPakE0T2pBekxqa3dOMW9pTENKaGJXOTFiblFpT25zaVlXMXZkVzUwSWpvaU1UQXdJaXdpWTNWeWNtVnVZM2tpT2lKWVdGZ2lmWDA"

type pair struct {
	from, to string
	w        float64
}

type tx struct {
	sched, sent time.Time
	pre         [32]byte
	from, to    string
	done        chan struct{}
	state       int32 // 0 pending, 1 done, 2 failed, 3 timed out
	puts        int32
	pay         *pay // the payment that it is part of, if any
}

type shard struct {
	sync.Mutex
	m map[string]*tx
}

const nsh = 64

var shards [nsh]shard

func sh(id string) *shard {
	h := uint32(2166136261)
	for i := 0; i < len(id); i++ {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return &shards[h%nsh]
}
func get(id string) *tx    { s := sh(id); s.Lock(); t := s.m[id]; s.Unlock(); return t }
func put(id string, t *tx) { s := sh(id); s.Lock(); s.m[id] = t; s.Unlock() }
func del(id string)        { s := sh(id); s.Lock(); delete(s.m, id); s.Unlock() }

var (
	b64                                                   = base64.RawURLEncoding
	ilp                                                   = defaultIlp
	nSent, nDone, nErrCb, nPostErr, nPutErr, nTimeout     int64
	nPost4xx, nPatch, nDupPut, nUnknown, nPostCb, nLateTO int64
	errLogged                                             int64
	mu                                                    sync.Mutex
	recs                                                  []rec
	winStart, winEnd                                      time.Time
	inflight                                              int64
	postLat                                               []float64
)

type rec struct {
	at         time.Time
	lat, sched float64
}

func logErr(f string, a ...any) {
	if atomic.AddInt64(&errLogged, 1) <= int64(*logErrors) {
		fmt.Fprintf(os.Stderr, f+"\n", a...)
	}
}

const crock = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	if *ids == "ulid" {
		ms := uint64(time.Now().UnixMilli())
		o := make([]byte, 26)
		for i := 9; i >= 0; i-- {
			o[i] = crock[ms&31]
			ms >>= 5
		}
		for i := 0; i < 16; i++ {
			o[10+i] = crock[b[i]&31]
		}
		return string(o)
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var o [36]byte
	hex.Encode(o[:8], b[:4])
	hex.Encode(o[9:13], b[4:6])
	hex.Encode(o[14:18], b[6:8])
	hex.Encode(o[19:23], b[8:10])
	hex.Encode(o[24:], b[10:])
	o[8], o[13], o[18], o[23] = '-', '-', '-', '-'
	return string(o[:])
}

func fire(p pair, sched time.Time) (*tx, string) {
	id := newID()
	t := &tx{from: p.from, to: p.to, done: make(chan struct{}), sched: sched}
	rand.Read(t.pre[:])
	cond := sha256.Sum256(t.pre[:])
	exp := time.Now().Add(time.Duration(*expiry * 1e9)).UTC().Format("2006-01-02T15:04:05.000Z")
	body := []byte(`{"transferId":"` + id + `","payerFsp":"` + p.from + `","payeeFsp":"` + p.to + `","amount":{"amount":"` + *amount + `","currency":"` + *currency +
		`"},"ilpPacket":"` + ilp + `","condition":"` + b64.EncodeToString(cond[:]) + `","expiration":"` + exp + `"}`)
	t.sent = time.Now()
	put(id, t)
	atomic.AddInt64(&inflight, 1)
	atomic.AddInt64(&nSent, 1)
	code, msg, err := do(fsps[p.from], &message{"POST", *hub, "/transfers", p.to, &resTransfers, body, true})
	if err != nil || code >= 300 {
		if err != nil {
			logErr("POST error: %v", err)
		} else {
			logErr("POST %d %s", code, msg)
		}
		countErr(sTransfers, refusal("POST", code, msg, err))
		if atomic.CompareAndSwapInt32(&t.state, 0, 2) {
			atomic.AddInt64(&nPostErr, 1)
			atomic.AddInt64(&inflight, -1)
			del(id)
			close(t.done)
		}
	} else {
		l := float64(time.Since(t.sent).Microseconds()) / 1000
		if !winStart.IsZero() && time.Now().After(winStart) {
			mu.Lock()
			postLat = append(postLat, l)
			mu.Unlock()
		}
	}
	return t, id
}

func finish(id string, t *tx, ok bool) {
	now := time.Now()
	st := int32(1)
	if !ok {
		st = 2
	}
	if !atomic.CompareAndSwapInt32(&t.state, 0, st) {
		if atomic.LoadInt32(&t.state) == 3 {
			atomic.AddInt64(&nLateTO, 1)
		}
		return
	}
	atomic.AddInt64(&inflight, -1)
	if ok {
		atomic.AddInt64(&nDone, 1)
		mu.Lock()
		recs = append(recs, rec{now, float64(now.Sub(t.sent).Microseconds()) / 1000, float64(now.Sub(t.sched).Microseconds()) / 1000})
		mu.Unlock()
	} else {
		atomic.AddInt64(&nErrCb, 1)
	}
	close(t.done)
	time.AfterFunc(5*time.Second, func() { del(id) })
}

func fulfil(id string, t *tx) {
	if *payeeDelay > 0 {
		time.Sleep(time.Duration(*payeeDelay * 1e6))
	}
	body := []byte(`{"fulfilment":"` + b64.EncodeToString(t.pre[:]) + `","completedTimestamp":"` + time.Now().UTC().Format("2006-01-02T15:04:05.000Z") + `","transferState":"` + *state + `"}`)
	base := *hub
	if *hubPut != "" {
		base = *hubPut
	}
	code, msg, err := do(fsps[t.to], &message{"PUT", base, "/transfers/" + id, t.from, &resTransfers, body, false})
	if err != nil || code >= 300 {
		logErr("PUT fulfil: %d %s %v", code, msg, err)
		atomic.AddInt64(&nPutErr, 1)
		countErr(sTransfers, refusal("PUT", code, msg, err))
	}
}

func handler(w http.ResponseWriter, r *http.Request) {
	i := strings.Index(r.URL.Path, "/transfers")
	if i < 0 {
		w.WriteHeader(200)
		return
	}
	rest := strings.Trim(r.URL.Path[i+len("/transfers"):], "/")
	body, _ := io.ReadAll(r.Body)
	if *jwsVerify > 0 {
		checkSignature(asCallback(r, body))
	}
	switch r.Method {
	case "POST":
		w.WriteHeader(202)
		atomic.AddInt64(&nPostCb, 1)
		var b struct {
			TransferId string `json:"transferId"`
		}
		if json.Unmarshal(body, &b) != nil {
			logErr("bad POST callback %s", body)
			return
		}
		if t := get(b.TransferId); t != nil {
			go fulfil(b.TransferId, t)
		} else {
			atomic.AddInt64(&nUnknown, 1)
		}
	case "PUT":
		w.WriteHeader(200)
		id := rest
		isErr := false
		if strings.HasSuffix(id, "/error") {
			isErr = true
			id = strings.TrimSuffix(id, "/error")
		}
		t := get(id)
		if t == nil {
			atomic.AddInt64(&nUnknown, 1)
			return
		}
		if isErr {
			logErr("error callback %s %s", r.URL.Path, body)
			countErr(sTransfers, "callback "+string(jstr(body, "errorCode")))
			finish(id, t, false)
			return
		}
		if atomic.AddInt32(&t.puts, 1) > 1 {
			atomic.AddInt64(&nDupPut, 1)
			return
		}
		var b struct {
			TransferState string `json:"transferState"`
		}
		json.Unmarshal(body, &b)
		if b.TransferState == "COMMITTED" || b.TransferState == "RESERVED" {
			finish(id, t, true)
		} else {
			logErr("PUT callback state %q", b.TransferState)
			countErr(sTransfers, "callback "+b.TransferState)
			finish(id, t, false)
		}
	case "PATCH":
		w.WriteHeader(200)
		atomic.AddInt64(&nPatch, 1)
	default:
		w.WriteHeader(200)
	}
}
