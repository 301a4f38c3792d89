// The FSPs, and how they send a message to the hub.

package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// message is what an FSP sends to the hub. res has the media types; uri is the path from the resource on.
type message struct {
	method, base, uri, dst string
	res                    *resource
	body                   []byte
	acc                    bool
}

// do sends a message with net/http or with the fast engine. It returns the status, the body of a refusal, and an error if
// there was no answer.
func do(f *fsp, m *message) (int, string, error) {
	if *engine == "fast" {
		return f.fast(m)
	}
	var rd io.Reader
	if m.body != nil {
		rd = bytes.NewReader(m.body)
	}
	req, err := http.NewRequest(m.method, m.base+m.uri, rd)
	if err != nil {
		return 0, "", err
	}
	h := req.Header
	h.Set("Content-Type", m.res.ctype)
	if m.acc {
		h.Set("Accept", m.res.accept)
	}
	date := time.Now().UTC().Format(http.TimeFormat)
	h.Set("Date", date)
	h["Idempotency-Key"] = []string{} // not sent; lets net/http retry on a keep-alive connection the server has just closed
	h["FSPIOP-Source"] = []string{f.name}
	if m.dst != "" {
		h["FSPIOP-Destination"] = []string{m.dst}
	}
	if f.key != nil && m.body != nil {
		h["FSPIOP-URI"], h["FSPIOP-HTTP-Method"] = []string{m.uri}, []string{m.method}
		h["FSPIOP-Signature"] = []string{string(f.sign(nil, m, date))}
	}
	resp, err := f.std.Do(req)
	if err != nil {
		return 0, "", err
	}
	var msg string
	if resp.StatusCode >= 300 {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		msg = string(b)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode, msg, nil
}

func newOrigin(base string) *origin {
	if o := origins[base]; o != nil {
		return o
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		fatal("%q is no http(s) URL", base)
	}
	if *tlsDir != "" && u.Scheme != "https" {
		fatal("with -tls the hub's URL must begin with https://, not %q", base)
	}
	o := &origin{tls: u.Scheme == "https", host: u.Hostname(), addr: u.Host, authority: u.Host, prefix: strings.TrimSuffix(u.Path, "/")}
	if u.Port() == "" {
		o.addr = net.JoinHostPort(o.host, map[bool]string{false: "80", true: "443"}[o.tls])
	}
	origins[base] = o
	return o
}

type fsp struct {
	name    string
	key     crypto.Signer // private key to sign with; nil: the FSP does not sign
	alg     string
	parties []string // MSISDNs
	std     *http.Client
	tls     *tls.Config
	mu      sync.Mutex
	idle    map[*origin][]*wire // the most recently used connection is the last
}

// msisdn returns the number of an FSP's party, as provision.py does. Eight digits are derived from the FSP's name, so that
// two FSPs have different numbers.
func msisdn(fsp string, n int) string {
	return fmt.Sprintf("1%08d%06d", crc32.ChecksumIEEE([]byte(fsp))%100_000_000, n)
}

func newFsps(pl []pair) map[string]*fsp {
	m, numbers := map[string]*fsp{}, map[string]string{}
	shared := newStd(nil)
	all := names()
	for _, p := range pl {
		all = append(all, p.from, p.to)
	}
	for _, n := range all {
		if m[n] != nil {
			continue
		}
		f := &fsp{name: n, idle: map[*origin][]*wire{}, std: shared}
		if *jwsDir != "" {
			if strings.ContainsAny(n, "\"\\") {
				fatal("%q cannot sign", n)
			}
			f.key, f.alg = readPrivateKey(filepath.Join(*jwsDir, n+".key"))
		}
		if *tlsDir != "" {
			f.tls = clientTLS(n)
			f.std = newStd(f.tls)
		}
		if *stages == "payment" {
			for i := 0; i < max(1, *nParties); i++ {
				f.parties = append(f.parties, msisdn(n, i))
			}
			if other := numbers[f.parties[0]]; other != "" {
				fatal("%s and %s would have the same numbers: call one otherwise", n, other)
			}
			numbers[f.parties[0]] = n
		}
		m[n] = f
	}
	for _, f := range m {
		if f.alg == "ES256" {
			makeNonces(*jwsPrepare)
			break
		}
	}
	return m
}

func newStd(cfg *tls.Config) *http.Client {
	dial := (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	return &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConns: 4096, MaxIdleConnsPerHost: 2048,
		IdleConnTimeout: time.Duration(*idleS * 1e9), DisableCompression: true, TLSClientConfig: cfg,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nOpened.Add(1)
			return dial(ctx, network, addr)
		}}}
}
