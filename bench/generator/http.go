// HTTP/1.1 with as few copies, headers and system calls as the load needs (-http fast).

package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

func saveCPU() {
	if *engine != "fast" {
		return
	}
	if os.Getenv("GOMAXPROCS") == "" {
		processors = 1
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	keepMonitorSlow()
}

// keepMonitorSlow saves a third of the CPU at some hundred payments/s. Whenever all of Go's processors were idle, the
// runtime's monitor thread checks them every 20 us for a while. One additional processor, which sleeps in a system call that
// the runtime does not know of, is never idle, so the monitor checks every 10 ms only.
func keepMonitorSlow() {
	nanosleep := map[string]uintptr{"linux/amd64": 35, "linux/arm64": 101}[runtime.GOOS+"/"+runtime.GOARCH]
	if nanosleep == 0 {
		runtime.GOMAXPROCS(processors)
		return
	}
	runtime.GOMAXPROCS(processors + 1)
	go func() {
		runtime.LockOSThread()
		for {
			sleepUnseen(nanosleep) // until the monitor's signal; in between the runtime may stop this thread for a moment
		}
	}()
}

//go:noinline
func sleepUnseen(nanosleep uintptr) {
	t := syscall.Timespec{Nsec: 50e6}
	syscall.RawSyscall(nanosleep, uintptr(unsafe.Pointer(&t)), 0, 0)
}

const headMax, bodyMax = 64 << 10, 6 << 20

var (
	errHead  = errors.New("malformed or too long HTTP")
	crlfcrlf = []byte("\r\n\r\n")
	bufs     = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}
)

// wire is a connection and its buffer; buf[r:w] was read and is not processed yet.
type wire struct {
	c    net.Conn
	buf  []byte
	r, w int
	got  bool // data arrived since the last request
	used time.Time
}

func (x *wire) fill() error {
	if x.r == x.w {
		x.r, x.w = 0, 0
	}
	if x.w == len(x.buf) {
		if x.r > 0 {
			x.w = copy(x.buf, x.buf[x.r:x.w])
			x.r = 0
		} else {
			if len(x.buf) > bodyMax {
				return errHead
			}
			x.buf = append(x.buf, make([]byte, max(len(x.buf), 4<<10))...)
		}
	}
	n, err := x.c.Read(x.buf[x.w:])
	x.w += n
	if n > 0 {
		x.got = true
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// head waits for a complete head and returns its length, the empty line included.
func (x *wire) head() (int, error) {
	from := 0
	for {
		b := x.buf[x.r:x.w]
		if i := bytes.Index(b[from:], crlfcrlf); i >= 0 {
			return from + i + 4, nil
		}
		if len(b) > headMax {
			return 0, errHead
		}
		from = max(0, len(b)-3)
		if err := x.fill(); err != nil {
			return 0, err
		}
	}
}

// need waits until n bytes are in the buffer.
func (x *wire) need(n int) error {
	for x.w-x.r < n {
		if err := x.fill(); err != nil {
			return err
		}
	}
	return nil
}

// line returns the next line without its end and removes it from the buffer.
func (x *wire) line() ([]byte, error) {
	for {
		if i := bytes.IndexByte(x.buf[x.r:x.w], '\n'); i >= 0 {
			l := bytes.TrimSuffix(x.buf[x.r:x.r+i], []byte("\r"))
			x.r += i + 1
			return l, nil
		}
		if err := x.fill(); err != nil {
			return nil, err
		}
	}
}

// chunked reads a body that is sent in chunks, and its trailers.
func (x *wire) chunked() ([]byte, error) {
	var body []byte
	for {
		l, err := x.line()
		if err != nil {
			return nil, err
		}
		size, _, _ := bytes.Cut(l, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 31)
		if err != nil || len(body)+int(n) > bodyMax {
			return nil, errHead
		}
		if n == 0 {
			for len(l) > 0 {
				if l, err = x.line(); err != nil {
					return nil, err
				}
			}
			return body, nil
		}
		if err = x.need(int(n) + 2); err != nil {
			return nil, err
		}
		body = append(body, x.buf[x.r:x.r+int(n)]...)
		x.r += int(n) + 2
	}
}

// header splits the next header off a head; the name is nil at the end of the head.
func header(h []byte) (name, value, rest []byte) {
	i := bytes.IndexByte(h, '\n')
	if i < 0 {
		return nil, nil, nil
	}
	l, rest := h[:i], h[i+1:]
	j := bytes.IndexByte(l, ':')
	if j < 0 {
		return nil, nil, rest
	}
	return l[:j], bytes.TrimSpace(l[j+1:]), rest
}

// is reports whether a name equals lower, ignoring case; both must have the same length.
func is(name []byte, lower string) bool {
	for i := 0; i < len(lower); i++ {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

func number(b []byte) int {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > bodyMax {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	if len(b) == 0 {
		return -1
	}
	return n
}

type dated struct {
	second int64
	text   string
}

var dateNow atomic.Pointer[dated]

// httpDate returns the value of the Date header, formatted once a second.
func httpDate(now time.Time) string {
	d := dateNow.Load()
	if d == nil || d.second != now.Unix() {
		d = &dated{now.Unix(), now.UTC().Format(http.TimeFormat)}
		dateNow.Store(d)
	}
	return d.text
}

// request appends the whole HTTP request of a message.
func (f *fsp) request(b []byte, o *origin, m *message, now time.Time) []byte {
	date := httpDate(now)
	b = append(append(append(append(b, m.method...), ' '), o.prefix...), m.uri...)
	b = append(append(b, " HTTP/1.1\r\nHost: "...), o.authority...)
	b = append(append(b, "\r\nContent-Type: "...), m.res.ctype...)
	if m.acc {
		b = append(append(b, "\r\nAccept: "...), m.res.accept...)
	}
	b = append(append(b, "\r\nDate: "...), date...)
	b = append(append(b, "\r\nFSPIOP-Source: "...), f.name...)
	if m.dst != "" {
		b = append(append(b, "\r\nFSPIOP-Destination: "...), m.dst...)
	}
	if m.body == nil {
		return append(b, crlfcrlf...)
	}
	if f.key != nil {
		b = append(append(b, "\r\nFSPIOP-URI: "...), m.uri...)
		b = append(append(b, "\r\nFSPIOP-HTTP-Method: "...), m.method...)
		b = f.sign(append(b, "\r\nFSPIOP-Signature: "...), m, date)
	}
	b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), int64(len(m.body)), 10)
	return append(append(b, crlfcrlf...), m.body...)
}

// fast sends a message over one of the FSP's idle connections. If the hub has closed that, it opens a new one.
func (f *fsp) fast(m *message) (int, string, error) {
	o := origins[m.base]
	now := time.Now()
	deadline := now.Add(patience)
	bp := bufs.Get().(*[]byte)
	req := f.request((*bp)[:0], o, m, now)
	defer func() {
		*bp = req[:0]
		bufs.Put(bp)
	}()
	for {
		x := f.kept(o, now)
		isKept := x != nil
		var err error
		if !isKept {
			if x, err = f.connect(o, deadline); err != nil {
				return 0, "", fmt.Errorf("%s %q: %w", m.method, m.base+m.uri, err)
			}
		}
		code, msg, keep, err := x.exchange(req, deadline)
		if err == nil {
			if keep {
				f.keep(o, x)
			} else {
				x.c.Close()
			}
			return code, msg, nil
		}
		x.c.Close()
		var ne net.Error
		if !isKept || x.got || errors.As(err, &ne) && ne.Timeout() {
			return 0, "", fmt.Errorf("%s %q: %w", m.method, m.base+m.uri, err)
		}
		nAgain.Add(1)
	}
}

func (f *fsp) kept(o *origin, now time.Time) *wire {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.idle[o]
	if len(l) == 0 {
		return nil
	}
	x := l[len(l)-1]
	if now.Sub(x.used).Seconds() > *idleS { // the others have been idle even longer
		for _, y := range l {
			y.c.Close()
		}
		f.idle[o] = l[:0]
		return nil
	}
	f.idle[o] = l[:len(l)-1]
	return x
}

func (f *fsp) keep(o *origin, x *wire) {
	x.used = time.Now()
	f.mu.Lock()
	l := append(f.idle[o], x)
	if y := l[0]; x.used.Sub(y.used).Seconds() > *idleS {
		y.c.Close()
		l = append(l[:0], l[1:]...)
	}
	f.idle[o] = l
	f.mu.Unlock()
}

func (f *fsp) connect(o *origin, deadline time.Time) (*wire, error) {
	nOpened.Add(1)
	c, err := (&net.Dialer{Timeout: 5 * time.Second, Deadline: deadline}).Dial("tcp", o.addr)
	if err != nil {
		return nil, err
	}
	if o.tls {
		cfg := &tls.Config{}
		if f.tls != nil {
			cfg = f.tls.Clone()
		}
		cfg.ServerName = o.host
		t := tls.Client(c, cfg)
		t.SetDeadline(deadline)
		if err = t.Handshake(); err != nil {
			c.Close()
			return nil, err
		}
		c = t
	}
	return &wire{c: c, buf: make([]byte, 1<<10)}, nil
}

// exchange sends a request and reads its answer; keep reports whether the connection can be used again.
func (x *wire) exchange(req []byte, deadline time.Time) (code int, msg string, keep bool, err error) {
	x.got = false
	x.c.SetDeadline(deadline)
	if _, err = x.c.Write(req); err != nil {
		return
	}
	for {
		var n int
		if n, err = x.head(); err != nil {
			return
		}
		h := x.buf[x.r : x.r+n]
		if n < 14 || string(h[:7]) != "HTTP/1." {
			return 0, "", false, errHead
		}
		code = number(h[9:12])
		length, isChunked := -1, false
		keep = h[7] == '1'
		_, h, _ = bytes.Cut(h, []byte("\n"))
		for name, value, rest := header(h); rest != nil; name, value, rest = header(rest) {
			switch len(name) {
			case 14:
				if is(name, "content-length") {
					length = number(value)
				}
			case 17:
				isChunked = isChunked || is(name, "transfer-encoding")
			case 10:
				if is(name, "connection") && len(value) == 5 && is(value, "close") {
					keep = false
				}
			}
		}
		x.r += n
		if code < 200 {
			continue
		}
		var body []byte
		switch {
		case code == 204 || code == 304:
		case isChunked:
			body, err = x.chunked()
		case length >= 0:
			if err = x.need(length); err == nil {
				body = x.buf[x.r : x.r+length]
				x.r += length
			}
		default:
			keep = false
			for err == nil {
				err = x.fill()
			}
			if err == io.EOF {
				err = nil
			}
			body = x.buf[x.r:x.w]
		}
		if code >= 300 {
			msg = string(body[:min(len(body), 500)])
		}
		return
	}
}

// callback is a request that was received. Its slices are parts of the connection's buffer: the next request overwrites them.
type callback struct {
	at                                                             time.Time
	method, path, src, dst, sig, uri, httpMethod, date, head, body []byte
	peer                                                           string // the client certificate's name
	refused                                                        bool
}

var (
	answer200 = []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	answer202 = []byte("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
)

func status(c *callback) []byte {
	if len(c.method) > 0 && c.method[0] == 'P' && string(c.method) != "POST" {
		return answer200
	}
	return answer202
}

// serve answers each request at once and passes it to process afterwards.
func serve(ln net.Listener, cfg *tls.Config, process func(*callback)) {
	serveWith(ln, cfg, status, process)
}

func serveWith(ln net.Listener, cfg *tls.Config, reply func(*callback) []byte, process func(*callback)) {
	for {
		c, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			logErr("accept: %v", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		nAccepted.Add(1)
		go serveOne(c, cfg, reply, process)
	}
}

func serveOne(c net.Conn, cfg *tls.Config, reply func(*callback) []byte, process func(*callback)) {
	defer func() { c.Close() }()
	peer := ""
	if cfg != nil {
		t := tls.Server(c, cfg)
		t.SetDeadline(time.Now().Add(10 * time.Second))
		if err := t.Handshake(); err != nil {
			nRefused.Add(1)
			logErr("TLS of %s: %v", c.RemoteAddr(), err)
			return
		}
		t.SetDeadline(time.Time{})
		if l := t.ConnectionState().PeerCertificates; len(l) > 0 {
			peer = l[0].Subject.CommonName
		}
		c = t
	}
	x := &wire{c: c, buf: make([]byte, 8<<10)}
	for {
		cb := callback{peer: peer}
		keep, err := x.receive(&cb)
		if err != nil {
			if err != io.EOF || x.w > x.r {
				logErr("callback from %s: %v", c.RemoteAddr(), err)
			}
			return
		}
		if _, err = c.Write(reply(&cb)); err != nil {
			logErr("answering %s: %v", c.RemoteAddr(), err)
		}
		process(&cb)
		if !keep || err != nil {
			return
		}
	}
}

// receive reads one request.
func (x *wire) receive(c *callback) (keep bool, err error) {
	n, err := x.head()
	if err != nil {
		return false, err
	}
	c.at = time.Now()
	length, isChunked, expects := 0, false, false
	scan := func(h []byte) bool {
		l, rest, _ := bytes.Cut(h, []byte("\r\n"))
		a, b := bytes.IndexByte(l, ' '), bytes.LastIndexByte(l, ' ')
		if a < 0 || a == b || len(l)-b < 9 {
			return false
		}
		c.method, c.path, c.head = l[:a], l[a+1:b], rest
		keep = l[len(l)-1] == '1'
		for name, value, rest := header(rest); rest != nil; name, value, rest = header(rest) {
			switch len(name) {
			case 4:
				if is(name, "date") {
					c.date = value
				}
			case 6:
				expects = expects || is(name, "expect")
			case 10:
				if is(name, "fspiop-uri") {
					c.uri = value
				} else if is(name, "connection") && len(value) == 5 && is(value, "close") {
					keep = false
				}
			case 13:
				if is(name, "fspiop-source") {
					c.src = value
				}
			case 14:
				if is(name, "content-length") {
					length = number(value)
				}
			case 16:
				if is(name, "fspiop-signature") {
					c.sig = value
				}
			case 17:
				isChunked = isChunked || is(name, "transfer-encoding")
			case 18:
				if is(name, "fspiop-destination") {
					c.dst = value
				} else if is(name, "fspiop-http-method") {
					c.httpMethod = value
				}
			}
		}
		return length >= 0
	}
	if !scan(x.buf[x.r : x.r+n]) {
		return false, errHead
	}
	if expects {
		x.c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
	if isChunked {
		head := append([]byte(nil), x.buf[x.r:x.r+n]...) // chunks may overwrite it
		x.r += n
		if c.body, err = x.chunked(); err != nil {
			return false, err
		}
		scan(head)
		return keep, nil
	}
	if x.w-x.r < n+length {
		if err = x.need(n + length); err != nil {
			return false, err
		}
		scan(x.buf[x.r : x.r+n]) // the buffer may have moved
	}
	c.body = x.buf[x.r+n : x.r+n+length]
	x.r += n + length
	return keep, nil
}

// jstr returns the first string value of that name in a JSON text. It does not unescape: ids, packets and codes need none.
func jstr(b []byte, name string) []byte {
	for {
		i := bytes.Index(b, []byte(name))
		if i < 0 {
			return nil
		}
		before, after := b[:i], b[i+len(name):]
		b = after
		if len(before) == 0 || before[len(before)-1] != '"' || len(after) == 0 || after[0] != '"' {
			continue
		}
		after = bytes.TrimLeft(after[1:], " \t\r\n")
		if len(after) == 0 || after[0] != ':' {
			continue
		}
		after = bytes.TrimLeft(after[1:], " \t\r\n")
		if len(after) == 0 || after[0] != '"' {
			continue
		}
		if j := bytes.IndexByte(after[1:], '"'); j >= 0 {
			return after[1 : 1+j]
		}
		return nil
	}
}
