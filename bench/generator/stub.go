// A hub that only forwards, to measure how fast the generator itself is.

package main

import (
	"crypto/tls"
	"fmt"
	mrand "math/rand"
	"net"
	"os"
	"strings"
	"time"
)

func runStub() {
	scheme := "http"
	if *tlsDir != "" {
		scheme = "https"
	}
	if *stubCb == "" {
		*stubCb = scheme + "://127.0.0.1:14040"
	}
	out := newOrigin(*stubCb)
	hub := &fsp{name: *hubName, idle: map[*origin][]*wire{}}
	var cfg *tls.Config
	if *tlsDir != "" {
		hub.tls, cfg = clientTLS("hub"), serverTLS("hub", "")
	}
	owner := map[string]string{}
	for _, n := range names() {
		owner[msisdn(n, 0)[:9]] = n
	}
	refusedBody := `{"errorInformation":{"errorCode":"2005","errorDescription":"Server busy"}}`
	busy := []byte(fmt.Sprintf("HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(refusedBody), refusedBody))
	wrong := strings.NewReplacer("2005", "3100", "Server busy", "not your certificate").Replace(refusedBody)
	stranger := []byte(fmt.Sprintf("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(wrong), wrong))
	reply := func(c *callback) []byte {
		if c.peer != "" && c.peer != string(c.src) {
			c.refused = true
			return stranger
		}
		if *stubFail > 0 && mrand.Float64() < *stubFail {
			c.refused = true
			return busy
		}
		return status(c)
	}
	// send forwards a request; head has all headers, without the request line.
	send := func(method, dst, path string, head, body []byte) {
		bp := bufs.Get().(*[]byte)
		b := appendAll((*bp)[:0], method, " ", out.prefix, "/", dst, path, " HTTP/1.1\r\nHost: ", out.authority, "\r\n")
		b = append(append(b, head...), body...)
		for again := true; again; {
			now := time.Now()
			x := hub.kept(out, now)
			again = x != nil
			var err error
			if x == nil {
				if x, err = hub.connect(out, now.Add(patience)); err != nil {
					logErr("stub: %v", err)
					break
				}
			}
			if _, _, keep, err := x.exchange(b, now.Add(patience)); err == nil && keep {
				hub.keep(out, x)
				break
			} else {
				x.c.Close()
				if err == nil || !again {
					logErr("stub: %v", err)
					break
				}
			}
		}
		*bp = b[:0]
		bufs.Put(bp)
	}
	process := func(c *callback) {
		if c.refused {
			return
		}
		method, path, src, dst := string(c.method), string(c.path), string(c.src), string(c.dst)
		isLookup := method == "GET" && strings.HasPrefix(path, "/parties/MSISDN/") && len(path) > 25
		if dst == "" && isLookup {
			dst = owner[path[16:25]]
		}
		own := func(method, dst, path string, body []byte) {
			head := fmt.Sprintf("content-type: application/vnd.interoperability.%s+json;version=1.1\r\ndate: %s\r\nfspiop-source: %s\r\nfspiop-destination: %s\r\ncontent-length: %d\r\n\r\n",
				strings.Split(path, "/")[1], httpDate(time.Now()), *hubName, dst, len(body))
			send(method, dst, path, []byte(head), body)
		}
		if method == "POST" && strings.HasPrefix(path, "/participants/") {
			go own("PUT", src, path, []byte(`{"fspId":"`+src+`"}`))
			return
		}
		if *stubFail > 0 && method != "PUT" && mrand.Float64() < *stubFail || dst == "" {
			at := path
			if !isLookup {
				for _, n := range []string{"transferId", "quoteId"} {
					if id := jstr(c.body, n); id != nil {
						at = path + "/" + string(id)
						break
					}
				}
			}
			go own("PUT", src, at+"/error", []byte(`{"errorInformation":{"errorCode":"3200","errorDescription":"Generic ID not found"}}`))
			return
		}
		// The headers are forwarded unchanged except for Host; a lookup gets its destination.
		head := make([]byte, 0, len(c.head)+64)
		for h := c.head; len(h) > 0; {
			name, _, rest := header(h)
			if !(len(name) == 4 && is(name, "host")) {
				if len(name) == 0 && len(c.dst) == 0 {
					head = appendAll(head, "FSPIOP-Destination: ", dst, "\r\n")
				}
				head = append(head, h[:len(h)-len(rest)]...)
			}
			h = rest
		}
		body := append([]byte(nil), c.body...)
		go send(method, dst, path, head, body)
		if method == "PUT" && strings.HasPrefix(path, "/transfers/") && *stubConfirm {
			go own("PUT", src, path, body)
		}
	}
	ln := must(net.Listen("tcp", *stub))
	fmt.Fprintf(os.Stderr, "stub hub on %s, callbacks to %s\n", ln.Addr(), *stubCb)
	serveWith(ln, cfg, reply, process)
}
