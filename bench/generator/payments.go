// A whole payment: lookup, quote and transfer (-stages payment).

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	mrand "math/rand"
	"net"
	"net/http"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func countErr(stage int, code string) {
	errMu.Lock()
	errByStage[stage][code]++
	errMu.Unlock()
}

// refusal returns the name under which a failed request is counted: `POST 503 2005`, `PUT timeout`, `GET no answer`.
func refusal(method string, code int, msg string, err error) string {
	var ne net.Error
	switch {
	case errors.As(err, &ne) && ne.Timeout():
		return method + " timeout"
	case err != nil:
		return method + " no answer"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %d %s", method, code, jstr([]byte(msg), "errorCode")))
}

// event is a callback to the payer, or the reason why there will be none.
type event struct {
	stage int
	at    time.Time
	code  string // of an error; empty: none
	a, b  string // the payee's FSP; ilpPacket and condition
}

type pay struct {
	tx
	id, quote    string // of transfer and transaction; of the quote
	party, other string // MSISDNs of payee and payer
	payer, payee *fsp
	received     [3]int32 // number of callbacks of each stage
	ev           chan event
	next         *pay // the next lookup of the same party
}

func (p *pay) tell(e event) {
	select {
	case p.ev <- e:
	default:
	}
}

// A PUT /parties has no id of a request: it answers the payer's oldest unanswered lookup of that party.
type lookup struct{ payer, party string }

var looks = struct {
	sync.Mutex
	m map[lookup]*pay
}{m: map[lookup]*pay{}}

// claim chooses a party of the payee that the payer is not looking up already; if there is none, a party whose lookup has
// timed out; if there is none either, any party, after the other lookups of it.
func claim(p *pay) {
	l := p.payee.parties
	j := mrand.Intn(len(l))
	looks.Lock()
	defer looks.Unlock()
	for _, over := range []bool{false, true} {
		for i := range l {
			k := lookup{p.payer.name, l[(j+i)%len(l)]}
			if q := looks.m[k]; q == nil || over && q.next == nil && atomic.LoadInt32(&q.state) != 0 {
				looks.m[k], p.party = p, k.party
				return
			}
		}
	}
	p.party = l[j]
	last := looks.m[lookup{p.payer.name, p.party}]
	for last.next != nil {
		last = last.next
	}
	last.next = p
}

// unclaim removes a lookup that was not answered.
func unclaim(p *pay) {
	looks.Lock()
	defer looks.Unlock()
	k := lookup{p.payer.name, p.party}
	if looks.m[k] == p {
		if looks.m[k] = p.next; p.next == nil {
			delete(looks.m, k)
		}
		return
	}
	for q := looks.m[k]; q != nil; q = q.next {
		if q.next == p {
			q.next = p.next
		}
	}
}

// Payments that have ended are remembered for a while, to recognise callbacks that come late or twice.
type grave struct {
	at time.Time
	p  *pay
}

const graveS = 20

var graves = struct {
	sync.Mutex
	ended, lost []grave
}{}

func sweep() {
	for now := range time.Tick(time.Second) {
		graves.Lock()
		cut := func(l *[]grave, s float64) []grave {
			n := sort.Search(len(*l), func(i int) bool { return now.Sub((*l)[i].at).Seconds() < s })
			old := (*l)[:n]
			*l = append([]grave(nil), (*l)[n:]...)
			return old
		}
		ended, lost := cut(&graves.ended, graveS), cut(&graves.lost, 3*graveS)
		graves.Unlock()
		for _, g := range ended {
			del(g.p.id)
			del(g.p.quote)
		}
		for _, g := range lost {
			unclaim(g.p)
		}
	}
}

// payOnce is the payer: it looks the payee up, requests a quote and sends the transfer, each after the previous callback.
func payOnce(pr pair, sched time.Time) bool {
	p := &pay{id: newID(), quote: newID(), payer: fsps[pr.from], payee: fsps[pr.to], ev: make(chan event, 4)}
	p.tx = tx{from: pr.from, to: pr.to, sched: sched, pay: p}
	p.other = p.payer.parties[mrand.Intn(len(p.payer.parties))]
	claim(p)
	put(p.id, &p.tx)
	put(p.quote, &p.tx)
	atomic.AddInt64(&inflight, 1)
	atomic.AddInt64(&nSent, 1)
	defer func() {
		atomic.AddInt64(&inflight, -1)
		graves.Lock()
		graves.ended = append(graves.ended, grave{time.Now(), p})
		graves.Unlock()
	}()
	tm := time.NewTimer(patience)
	defer tm.Stop()
	var rec3 stageRec
	var last time.Time
	step := func(s int, m *message) (event, bool) {
		if !tm.Stop() {
			select {
			case <-tm.C:
			default:
			}
		}
		tm.Reset(patience)
		begun := time.Now()
		if s == sParties {
			p.sent = begun
		}
		failed := func(n *int64, code string) (event, bool) {
			st := int32(2)
			if n == &nTimeout {
				st = 3
			}
			atomic.StoreInt32(&p.state, st)
			atomic.AddInt64(n, 1)
			countErr(s, code)
			if s == sParties {
				if n == &nTimeout || strings.HasSuffix(code, "timeout") || strings.HasSuffix(code, "no answer") { // the callback may still come
					graves.Lock()
					graves.lost = append(graves.lost, grave{time.Now(), p})
					graves.Unlock()
				} else {
					unclaim(p)
				}
			}
			return event{}, false
		}
		code, msg, err := do(p.payer, m)
		if err != nil || code >= 300 {
			logErr("%s %s %d %s %v", m.method, stageNames[s], code, msg, err)
			return failed(&nPostErr, refusal(m.method, code, msg, err))
		}
		rec3[s].answered = float32(time.Since(begun).Microseconds()) / 1000
		for {
			select {
			case e := <-p.ev:
				switch {
				case e.stage != s:
					continue
				case strings.HasPrefix(e.code, "PUT"):
					return failed(&nPutErr, e.code)
				case e.code != "":
					return failed(&nErrCb, e.code)
				}
				last = e.at
				rec3[s].received = float32(e.at.Sub(begun).Microseconds()) / 1000
				return e, true
			case <-tm.C:
				logErr("timeout %s of %s", stageNames[s], p.id)
				return failed(&nTimeout, "timeout")
			}
		}
	}
	bp := bufs.Get().(*[]byte)
	b := (*bp)[:0]
	defer func() {
		*bp = b[:0]
		bufs.Put(bp)
	}()
	e, ok := step(sParties, &message{"GET", ask[sParties], "/parties/MSISDN/" + p.party, "", &resParties, nil, true})
	if !ok {
		return false
	}
	b = p.appendQuote(b)
	if e, ok = step(sQuotes, &message{"POST", ask[sQuotes], "/quotes", p.to, &resQuotes, b, true}); !ok {
		return false
	}
	b = p.appendTransfer(b[:0], e.a, e.b)
	if _, ok = step(sTransfers, &message{"POST", ask[sTransfers], "/transfers", p.to, &resTransfers, b, true}); !ok {
		return false
	}
	atomic.StoreInt32(&p.state, 1)
	atomic.AddInt64(&nDone, 1)
	mu.Lock()
	recs = append(recs, rec{last, float64(last.Sub(p.sent).Microseconds()) / 1000, float64(last.Sub(p.sched).Microseconds()) / 1000})
	stageRecs = append(stageRecs, rec3)
	if !winStart.IsZero() && last.After(winStart) {
		postLat = append(postLat, float64(rec3[sTransfers].answered))
	}
	mu.Unlock()
	return true
}

const iso = "2006-01-02T15:04:05.000Z"

// encode appends data in base64url.
func encode(b, data []byte) []byte {
	n := b64.EncodedLen(len(data))
	for cap(b)-len(b) < n {
		b = append(b[:cap(b)], 0)[:len(b)]
	}
	b64.Encode(b[len(b):len(b)+n], data)
	return b[:len(b)+n]
}

func appendAll(b []byte, s ...string) []byte {
	for _, x := range s {
		b = append(b, x...)
	}
	return b
}

func appendParty(b []byte, number, fsp string) []byte {
	return appendAll(b, `{"partyIdInfo":{"partyIdType":"MSISDN","partyIdentifier":"`, number, `","fspId":"`, fsp, `"}`)
}

const transactionType = `"transactionType":{"scenario":"TRANSFER","initiator":"PAYER","initiatorType":"CONSUMER"}`

func (p *pay) appendQuote(b []byte) []byte {
	b = appendAll(b, `{"quoteId":"`, p.quote, `","transactionId":"`, p.id, `","payee":`)
	b = append(appendParty(b, p.party, p.to), `},"payer":`...)
	b = append(appendParty(b, p.other, p.from), `},"amountType":"SEND","amount":{"currency":"`...)
	b = appendAll(b, *currency, `","amount":"`, *amount, `"},`, transactionType, `,"expiration":"`)
	return append(p.appendExpiry(b), `"}`...)
}

func (p *pay) appendExpiry(b []byte) []byte {
	return time.Now().Add(time.Duration(*expiry*1e9)).UTC().AppendFormat(b, iso)
}

func (p *pay) appendTransfer(b []byte, packet, condition string) []byte {
	b = appendAll(b, `{"transferId":"`, p.id, `","payerFsp":"`, p.from, `","payeeFsp":"`, p.to, `","amount":{"amount":"`, *amount, `","currency":"`, *currency,
		`"},"ilpPacket":"`, packet, `","condition":"`, condition, `","expiration":"`)
	return append(p.appendExpiry(b), `"}`...)
}

// appendPacket appends an ILPv1 payment. Its data is the Transaction in base64url, and the packet is base64url again.
func (p *pay) appendPacket(b []byte) []byte {
	if *ilpFile != "" {
		return append(b, ilp...)
	}
	var tb, db, cb [1280]byte
	t := appendAll(tb[:0], `{"transactionId":"`, p.id, `","quoteId":"`, p.quote, `","payee":`)
	t = append(appendParty(t, p.party, p.to), `},"payer":`...)
	t = append(appendParty(t, p.other, p.from), `},"amount":{"amount":"`...)
	t = appendAll(t, *amount, `","currency":"`, *currency, `"},`, transactionType, `}`)
	data := encode(db[:0], t)
	c := binary.BigEndian.AppendUint64(cb[:0], minor)
	address := 2 + len(p.to) + len(".msisdn.") + len(p.party)
	c = appendAll(appendLength(c, address), "g.", p.to, ".msisdn.", p.party)
	c = append(append(appendLength(c, len(data)), data...), 0)
	return encode(b, append(appendLength(append(tb[:0], 1), len(c)), c...))
}

// appendLength appends the length that precedes an octet string (X.696).
func appendLength(b []byte, n int) []byte {
	switch {
	case n < 0x80:
		return append(b, byte(n))
	case n < 0x100:
		return append(b, 0x81, byte(n))
	}
	return append(b, 0x82, byte(n>>8), byte(n))
}

// answerWith is the payee: it sends its PUT. If the hub refuses that, the payer is notified and stops waiting.
func (f *fsp) answerWith(p *pay, s int, uri, dst string, res *resource, write func([]byte) []byte) {
	if *payeeDelay > 0 {
		time.Sleep(time.Duration(*payeeDelay * 1e6))
	}
	bp := bufs.Get().(*[]byte)
	b := write((*bp)[:0])
	code, msg, err := do(f, &message{"PUT", answer[s], uri, dst, res, b, false})
	*bp = b[:0]
	bufs.Put(bp)
	if err != nil || code >= 300 {
		logErr("PUT %s %d %s %v", stageNames[s], code, msg, err)
		if p != nil {
			p.tell(event{stage: s, code: refusal("PUT", code, msg, err)})
		}
	}
}

// handle processes a callback after it was answered.
func handle(c *callback) {
	if *jwsVerify > 0 {
		checkSignature(c)
	}
	path, _, _ := bytes.Cut(c.path, []byte("?"))
	if i := bytes.Index(path, []byte("/transfers")); i >= 0 {
		aboutTransfer(c, bytes.Trim(path[i+len("/transfers"):], "/"))
	} else if i := bytes.Index(path, []byte("/quotes")); i >= 0 {
		aboutQuote(c, bytes.Trim(path[i+len("/quotes"):], "/"))
	} else if i := bytes.Index(path, []byte("/parties/MSISDN/")); i >= 0 {
		aboutParty(c, path[i+len("/parties/MSISDN/"):])
	}
}

func isError(id []byte) ([]byte, bool) { return bytes.CutSuffix(id, []byte("/error")) }

func (c *callback) errorCode(s int) string {
	logErr("error callback %s %s", c.path, c.body)
	return "callback " + string(jstr(c.body, "errorCode"))
}

func aboutParty(c *callback, id []byte) {
	id, isErr := isError(id)
	if string(c.method) == "GET" {
		f := fsps[string(c.dst)]
		if f == nil {
			atomic.AddInt64(&nUnknown, 1)
			return
		}
		k := lookup{string(c.src), string(id)}
		looks.Lock()
		p := looks.m[k]
		looks.Unlock()
		go f.answerWith(p, sParties, "/parties/MSISDN/"+k.party, k.payer, &resParties, func(b []byte) []byte {
			return append(appendParty(append(b, `{"party":`...), k.party, f.name), `,"name":"Paz Payee"}}`...)
		})
		return
	}
	k := lookup{string(c.dst), string(id)}
	looks.Lock()
	p := looks.m[k]
	if p != nil {
		if looks.m[k] = p.next; p.next == nil {
			delete(looks.m, k)
		}
	}
	looks.Unlock()
	if p == nil || p.late() {
		if p == nil {
			atomic.AddInt64(&nUnknown, 1)
		}
		return
	}
	e := event{stage: sParties, at: c.at}
	if isErr {
		e.code = c.errorCode(sParties)
	} else if string(jstr(c.body, "fspId")) != p.to {
		logErr("wrong party %s", c.body)
		e.code = "callback of another FSP"
	}
	p.tell(e)
}

// late reports whether a payment has ended already, and counts callbacks that come after its timeout.
func (p *pay) late() bool {
	st := atomic.LoadInt32(&p.state)
	if st == 3 {
		atomic.AddInt64(&nLateTO, 1)
	}
	return st != 0
}

func aboutQuote(c *callback, id []byte) {
	if string(c.method) == "POST" {
		t := get(string(jstr(c.body, "quoteId")))
		if t == nil || t.pay == nil {
			atomic.AddInt64(&nUnknown, 1)
			return
		}
		p := t.pay
		go p.payee.answerWith(p, sQuotes, "/quotes/"+p.quote, p.from, &resQuotes, func(b []byte) []byte {
			rand.Read(p.pre[:])
			cond := sha256.Sum256(p.pre[:])
			b = appendAll(b, `{"transferAmount":{"currency":"`, *currency, `","amount":"`, *amount, `"},"payeeReceiveAmount":{"currency":"`, *currency, `","amount":"`, *amount, `"},"ilpPacket":"`)
			b = encode(append(p.appendPacket(b), `","condition":"`...), cond[:])
			return append(p.appendExpiry(append(b, `","expiration":"`...)), `"}`...)
		})
		return
	}
	id, isErr := isError(id)
	t := get(string(id))
	if t == nil || t.pay == nil {
		atomic.AddInt64(&nUnknown, 1)
		return
	}
	p := t.pay
	if p.late() {
		return
	}
	if atomic.AddInt32(&p.received[sQuotes], 1) > 1 {
		atomic.AddInt64(&nDupPut, 1)
		return
	}
	e := event{stage: sQuotes, at: c.at}
	if isErr {
		e.code = c.errorCode(sQuotes)
	} else if e.a, e.b = string(jstr(c.body, "ilpPacket")), string(jstr(c.body, "condition")); e.a == "" || e.b == "" {
		logErr("no packet or condition in %s", c.body)
		e.code = "callback incomplete"
	}
	p.tell(e)
}

func aboutTransfer(c *callback, id []byte) {
	switch string(c.method) {
	case "POST":
		atomic.AddInt64(&nPostCb, 1)
		id := string(jstr(c.body, "transferId"))
		t := get(id)
		switch {
		case t == nil:
			atomic.AddInt64(&nUnknown, 1)
		case t.pay == nil:
			go fulfil(id, t)
		default:
			go t.pay.payee.answerWith(t.pay, sTransfers, "/transfers/"+id, t.from, &resTransfers, func(b []byte) []byte {
				b = encode(append(b, `{"fulfilment":"`...), t.pre[:])
				b = time.Now().UTC().AppendFormat(append(b, `","completedTimestamp":"`...), iso)
				return appendAll(b, `","transferState":"`, *state, `"}`)
			})
		}
	case "PUT":
		id, isErr := isError(id)
		t := get(string(id))
		if t == nil {
			atomic.AddInt64(&nUnknown, 1)
			return
		}
		p := t.pay
		if p != nil && t.from != t.to && string(c.dst) == t.to { // the hub's confirmation to the payee
			nConfirmed.Add(1)
			return
		}
		if p != nil && p.late() {
			if !isErr && atomic.LoadInt32(&p.state) == 1 {
				atomic.AddInt64(&nDupPut, 1)
			}
			return
		}
		code := ""
		if isErr {
			code = c.errorCode(sTransfers)
		} else if atomic.AddInt32(&t.puts, 1) > 1 {
			atomic.AddInt64(&nDupPut, 1)
			return
		} else if st := string(jstr(c.body, "transferState")); st != "COMMITTED" && st != "RESERVED" {
			logErr("PUT callback state %q", st)
			code = "callback " + st
		}
		if p != nil {
			p.tell(event{stage: sTransfers, at: c.at, code: code})
			return
		}
		if code != "" {
			countErr(sTransfers, code)
		}
		finish(string(id), t, code == "")
	case "PATCH":
		atomic.AddInt64(&nPatch, 1)
	}
}

// asCallback converts a request of net/http.
func asCallback(r *http.Request, body []byte) *callback {
	h := func(name string) []byte { return []byte(r.Header.Get(name)) }
	return &callback{at: time.Now(), method: []byte(r.Method), path: []byte(r.URL.Path), body: body, src: h("FSPIOP-Source"), dst: h("FSPIOP-Destination"),
		sig: h("FSPIOP-Signature"), uri: h("FSPIOP-URI"), httpMethod: h("FSPIOP-HTTP-Method"), date: h("Date")}
}

func stdHandler(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c := asCallback(r, body)
	w.WriteHeader(number(status(c)[9:12]))
	handle(c)
}
